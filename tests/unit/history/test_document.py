"""I1: history's OpenAPI document: an id, descriptions, valid examples, and errors for every operation."""

import json
import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from shared.http.openapi_files import read_document

# The committed document, of which tests/contract/test_dialect.py proves that it is the one that is served.
DOCUMENT = read_document("history")
BY_ID: dict[str, dict[str, Any]] = {
    operation["operationId"]: operation for methods in DOCUMENT["paths"].values() for operation in methods.values()
}
OPERATIONS = [pytest.param(operation, id=name) for name, operation in BY_ID.items()]


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    formats = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(schema | {"components": DOCUMENT["components"]}, format_checker=formats)


def operation(name: str) -> dict[str, Any]:
    return BY_ID[name]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_I1_every_operation_has_descriptions_errors_and_valid_examples(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert {"401", "403", "422", "503"} <= set(operation["responses"])
    for status, response in operation["responses"].items():
        assert response["description"], status
        for media_type, content in response.get("content", {}).items():
            if media_type == "application/json":
                validator(content["schema"]).validate(content["example"])
            elif media_type == "application/problem+json":
                for example in content["examples"].values():
                    validator(content["schema"]).validate(example["value"])
            else:
                assert "example" in content or content["schema"]["format"] == "binary", media_type
    for parameter in operation.get("parameters", []):
        assert parameter["description"], parameter["name"]
        schema = parameter["schema"]
        if parameter["name"] == "cursor":
            continue  # it comes from a page of the same list: no example could be sent
        for example in schema.get("examples") or [parameter["example"]]:
            validator(schema).validate(example)


def test_I1_every_component_s_example_is_valid() -> None:
    for schema in DOCUMENT["components"]["schemas"].values():
        for example in schema.get("examples", []):
            validator(schema).validate(example)
        for field in schema.get("properties", {}).values():
            for example in field.get("examples", []):
                validator(field).validate(example)


def test_I1_the_request_s_body_has_an_example() -> None:
    assert DOCUMENT["components"]["schemas"]["Retention"]["examples"] == [{"days": 30}]


def test_I1_instants_are_date_times_named_so() -> None:
    instants = re.compile(r".*_at|slot|start|end|at|data_complete_through")
    for component, schema in DOCUMENT["components"]["schemas"].items():
        for name, field in schema.get("properties", {}).items():
            formats = {each.get("format") for each in [field, *field.get("anyOf", [])]}
            assert ("date-time" in formats) == bool(instants.fullmatch(name)), (component, name)


def test_H3_a_run_has_progress_as_a_number_its_detail_and_an_estimate() -> None:
    run = DOCUMENT["components"]["schemas"]["Run"]["properties"]
    assert [each["type"] for each in run["progress"]["anyOf"]] == ["number", "null"]
    assert run["progress_detail"]["anyOf"][0] == {"$ref": "#/components/schemas/ProgressDetail"}
    estimate = DOCUMENT["components"]["schemas"]["TimeEstimate"]["properties"]
    assert set(estimate) == {"seconds", "low", "high", "estimated_at"}


def test_H6_the_data_of_server_sent_events_is_typed_and_its_example_valid() -> None:
    stream = operation("followRuns")["responses"]["200"]["content"]["text/event-stream"]
    data = json.loads(stream["example"].partition("data: ")[2])
    validator({"$ref": "#/components/schemas/Run"}).validate(data)
    event = {"event": "run", "id": 90210, "data": data}
    validator(stream["schema"]["contentSchema"]).validate(event)


def test_A3_downloads_are_bytes_with_their_headers_and_can_be_asked_for_with_head() -> None:
    for name in ("downloadArtifact", "followLink"):
        responses = operation(name)["responses"]
        for status in ("200", "206"):
            [content] = responses[status]["content"].values()
            assert content["schema"] == {"type": "string", "format": "binary"}
            assert {"ETag", "Accept-Ranges", "Content-Length", "Repr-Digest"} <= set(responses[status]["headers"])
        assert "Content-Range" in responses["206"]["headers"]
        assert "Content-Range" in responses["416"]["headers"]
    files = {path for path, methods in DOCUMENT["paths"].items() if "head" in methods}
    assert {path.rpartition("/")[2] for path in files} == {"content", "{name}", "archive", "manifest"}


def test_U1_only_the_link_is_open() -> None:
    closed: list[dict[str, list[str]]] = [{"HTTPBearer": []}, {"APIKeyCookie": []}]
    security = {name: each["security"] for name, each in BY_ID.items()}
    assert {name for name, schemes in security.items() if schemes == []} == {"followLink", "headLink"}
    assert all(schemes in ([], closed) for schemes in security.values())


def test_J11_sorts_are_enumerated() -> None:
    parameters = {each["name"]: each for each in operation("listRuns")["parameters"]}
    assert {"created_at", "-created_at", "duration_seconds", "-files"} <= set(parameters["sort"]["schema"]["enum"])
