"""I1: history's OpenAPI document: an id, words, examples that fit, and errors for every operation."""

from typing import Any, cast

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from history.api.artifacts import artifact_routes
from history.api.documents import include
from history.api.governance import governance_routes
from history.api.live import event_routes
from history.api.runs import run_routes
from history.settings import Settings
from shared.http.app import create_app
from shared.lifecycle import Health


async def nobody(_: object) -> None:
    """AuthenticateExternal nobody: only the document is asked for."""


def document() -> dict[str, Any]:
    app: FastAPI = create_app(title="Sluice history", service="history", health=Health(), authenticate=nobody)
    settings = Settings(kafka_bootstrap="x:1", postgres="postgresql://x", store="file:///x")
    nothing = cast("Any", None)  # routes are made, none is asked
    live = event_routes(nothing, heartbeat=settings.heartbeat, patience=settings.live_patience)
    include(app, run_routes(nothing), governance_routes(nothing), artifact_routes(nothing), live)
    return app.openapi()


DOCUMENT = document()
OPERATIONS = [
    pytest.param(operation, id=operation["operationId"])
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
]


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema | {"components": DOCUMENT["components"]})


@pytest.mark.parametrize("operation", OPERATIONS)
def test_I1_every_operation_has_words_errors_and_examples_that_fit(operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert {"401", "403", "422", "503"} <= set(operation["responses"])
    for status, answer in operation["responses"].items():
        assert answer["description"], status
        if status.startswith("2") and status != "204":
            for kind, content in answer["content"].items():
                if kind == "application/json":
                    validator(content["schema"]).validate(content["example"])
                else:
                    assert "example" in content or content["schema"]["format"] == "binary", kind
    for parameter in operation.get("parameters", []):
        assert parameter["description"], parameter["name"]
        schema = parameter["schema"]
        for example in schema.get("examples") or [parameter["example"]]:
            validator(schema).validate(example)


def test_I1_the_request_s_body_has_an_example() -> None:
    assert DOCUMENT["components"]["schemas"]["Retention"]["examples"] == [{"days": 30}]
