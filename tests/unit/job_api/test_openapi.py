"""I1: the job API's OpenAPI document is valid and complete by our own rules, and the rules detect what is missing."""

import copy
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from job_api.app import create_web_app
from shared.clock import SystemClock
from shared.http.openapi_files import read_document
from shared.lifecycle import Health
from tests.support.openapi_lint import find_faults

Spoil = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    # The committed document, of which tests/contract/test_dialect.py proves that it is the one that is served.
    return read_document("job-api")


def test_I1_the_document_is_valid_openapi_31(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_I1_the_document_is_complete_by_our_own_rules(document: dict[str, Any]) -> None:
    assert find_faults(document) == []


def test_U1_every_operation_but_the_login_requires_authentication(document: dict[str, Any]) -> None:
    security = {
        operation["operationId"]: operation["security"]
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    assert security.pop("logIn") == []
    assert all(each == [{"HTTPBearer": []}, {"APIKeyCookie": []}] for each in security.values())
    assert set(document["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyCookie"}


async def test_I1_the_login_refuses_unknown_parameters_as_every_other_operation_does() -> None:
    app = create_web_app(None, clock=SystemClock(), health=Health())  # type: ignore[arg-type]  # no row is read
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sluice.test") as client:
        refused = await client.post("/api/v1/session?tenant=x", json={"user": "ana", "password": "correct horse"})
    assert refused.status_code == 422
    assert [each["field"] for each in refused.json()["errors"]] == ["tenant"]


def find_examples(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Yield each example with its place and its schema."""
    for name, schema in document["components"]["schemas"].items():
        yield from ((name, schema, example) for example in schema.get("examples", []))
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            for parameter in operation.get("parameters", []):
                schema = parameter["schema"]
                yield from ((where, schema, example) for example in schema.get("examples", []))
            for response in operation["responses"].values():
                for content in response.get("content", {}).values():
                    examples = [each["value"] for each in content.get("examples", {}).values()]
                    examples += [content["example"]] if "example" in content else []
                    yield from ((where, content["schema"], example) for example in examples)


def test_I1_every_example_is_valid_against_its_own_schema(document: dict[str, Any]) -> None:
    examples = list(find_examples(document))
    assert len(examples) > 200
    for where, schema, example in examples:
        validator = Draft202012Validator(
            schema | {"components": document["components"]}, format_checker=FormatChecker()
        )
        assert [error.message for error in validator.iter_errors(example)] == [], where


def job(document: dict[str, Any], method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/api/v1/jobs/{job_id}"][method]
    return found


INCOMPLETE: dict[str, tuple[Spoil, str]] = {
    "no id": (lambda it: job(it).pop("operationId"), "no operationId"),
    "an id twice": (lambda it: job(it).update(operationId="listJobs"), "listJobs is used 2 times"),
    "no summary": (lambda it: job(it).pop("summary"), "no summary"),
    "no description": (lambda it: job(it).pop("description"), "no description"),
    "no tags": (lambda it: job(it).pop("tags"), "no tags"),
    "a parameter without a description": (
        lambda it: job(it)["parameters"][0].pop("description"),
        "job_id is not described",
    ),
    "an error that is not listed": (lambda it: job(it)["responses"].pop("401"), "does not list 401"),
    "an error of another media type": (
        lambda it: job(it)["responses"]["404"].update(content={"application/json": {}}),
        "404 is not only problem+json",
    ),
    "no example of a response": (
        lambda it: job(it)["responses"]["200"]["content"]["application/json"].pop("example"),
        "no example of a response 200",
    ),
    "no example of a body": (
        lambda it: it["components"]["schemas"]["JobDraft"].pop("examples"),
        "no example of a body",
    ),
    "an unlimited text": (
        lambda it: it["components"]["schemas"]["JobDraft"]["properties"]["title"].pop("maxLength"),
        "body.title: text without maxLength",
    ),
    "an unused component": (
        lambda it: it["components"]["schemas"].update(Lonely={"type": "object"}),
        "component Lonely is not used",
    ),
    "an address in another style": (
        lambda it: it["paths"].update({"/api/v1/runJobs": it["paths"].pop("/api/v1/jobs")}),
        "runJobs: not lower-case",
    ),
}


@pytest.mark.parametrize("name", INCOMPLETE)
def test_I1_an_incomplete_document_is_detected(document: dict[str, Any], name: str) -> None:
    incomplete = copy.deepcopy(document)
    spoil, expected = INCOMPLETE[name]
    spoil(incomplete)
    faults = find_faults(incomplete)
    assert any(expected in fault for fault in faults), faults
