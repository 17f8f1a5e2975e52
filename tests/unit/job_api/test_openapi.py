"""I1: the job API's OpenAPI document is valid, complete by our own rules, and the rules bite."""

import copy
from collections.abc import Callable
from typing import Any, cast

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from job_api.app import create_web_app
from shared.clock import SystemClock
from shared.lifecycle import Health
from shared.postgres import Pool
from tests.support.openapi_lint import find_faults

Spoil = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    # Nothing is asked of the database: the document is made of the routes alone.
    return create_web_app(cast("Pool", None), clock=SystemClock(), health=Health()).openapi()


def test_I1_the_document_is_valid_openapi_31(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_I1_every_operation_can_be_used_by_who_reads_the_document_alone(document: dict[str, Any]) -> None:
    assert find_faults(document) == []


def test_U1_every_operation_but_the_login_says_how_to_say_who_asks(document: dict[str, Any]) -> None:
    unsaid = {
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if operation.get("security") != [{"HTTPBearer": []}, {"APIKeyCookie": []}]
    }
    assert unsaid == {"logIn"}
    assert set(document["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyCookie"}


def job(document: dict[str, Any], method: str = "get") -> dict[str, Any]:
    found: dict[str, Any] = document["paths"]["/api/v1/jobs/{job_id}"][method]
    return found


SPOILT: dict[str, tuple[Spoil, str]] = {
    "no id": (lambda it: job(it).pop("operationId"), "no operationId"),
    "an id twice": (lambda it: job(it).update(operationId="listJobs"), "listJobs is used 2 times"),
    "no summary": (lambda it: job(it).pop("summary"), "no summary"),
    "no description": (lambda it: job(it).pop("description"), "no description"),
    "no tags": (lambda it: job(it).pop("tags"), "no tags"),
    "a parameter without words": (lambda it: job(it)["parameters"][0].pop("description"), "job_id is not described"),
    "a refusal that is not listed": (lambda it: job(it)["responses"].pop("401"), "does not list 401"),
    "a refusal of another kind": (
        lambda it: job(it)["responses"]["404"].update(content={"application/json": {}}),
        "404 is not only problem+json",
    ),
    "no example of an answer": (
        lambda it: it["components"]["schemas"]["Job"].pop("examples"),
        "no example of a response 200",
    ),
    "no example of a body": (
        lambda it: it["components"]["schemas"]["JobDraft"].pop("examples"),
        "no example of a body",
    ),
    "text without end": (
        lambda it: it["components"]["schemas"]["JobDraft"]["properties"]["title"].pop("maxLength"),
        "body.title: text without maxLength",
    ),
    "a part that nobody uses": (
        lambda it: it["components"]["schemas"].update(Lonely={"type": "object"}),
        "component Lonely is not used",
    ),
    "an address in another style": (
        lambda it: it["paths"].update({"/api/v1/runJobs": it["paths"].pop("/api/v1/jobs")}),
        "runJobs: not lower-case",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_I1_a_document_that_lacks_something_is_found_out(document: dict[str, Any], name: str) -> None:
    spoilt = copy.deepcopy(document)
    spoil, said = SPOILT[name]
    spoil(spoilt)
    assert any(said in fault for fault in find_faults(spoilt)), find_faults(spoilt)
