"""I1: what the OpenAPI document says beyond what the framework writes."""

from typing import Any
from uuid import UUID

import pytest
from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import Response

from shared.http.app import create_app
from shared.http.conditional import IfMatch
from shared.http.identity import CurrentIdentity
from shared.http.openapi import file_response, json_response
from shared.http.problems import ProblemType, error_responses
from shared.lifecycle import Health
from tests.unit.shared.http.clients import authenticate


class Thing(BaseModel):
    name: str
    note: str | None


router = APIRouter(prefix="/api/v1/things", tags=["things"])
EXAMPLE = {"name": "x", "note": None}


@router.get(
    "/{thing_id}",
    operation_id="getThing",
    responses=json_response(EXAMPLE, headers=("ETag",)) | error_responses(ProblemType.NOT_FOUND),
)
async def get_thing(_: CurrentIdentity, thing_id: UUID, search: str | None = None) -> Thing:
    raise NotImplementedError


@router.put(
    "/{thing_id}",
    operation_id="replaceThing",
    responses=json_response(EXAMPLE) | error_responses(ProblemType.IF_MATCH_REQUIRED, ProblemType.LOST_UPDATE),
)
async def replace_thing(_: CurrentIdentity, thing_id: UUID, thing: Thing, if_match: IfMatch = None) -> Thing:
    raise NotImplementedError


@router.post("/{thing_id}/wake", operation_id="wakeThing", responses=error_responses())
async def wake_thing(_: CurrentIdentity, thing_id: UUID, if_match: IfMatch = None) -> None:
    raise NotImplementedError


@router.get(
    "/open/content",
    operation_id="openThing",
    response_class=Response,
    responses=file_response(headers=("Accept-Ranges",)) | error_responses(),
)
async def open_thing() -> Response:
    raise NotImplementedError


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    app = create_app(
        title="Test", service="test", health=Health(), authenticate=authenticate, tags={"things": "What there is"}
    )
    app.include_router(router)
    return app.openapi()


def parameters(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in operation["parameters"]}


def test_I1_the_document_has_a_license_servers_and_tags(document: dict[str, Any]) -> None:
    assert document["info"]["license"]["identifier"] == "Apache-2.0"
    assert document["servers"][0]["url"] == "https://{host}"
    assert document["tags"] == [{"name": "things", "description": "What there is"}]


def test_I1_closed_operations_take_a_token_or_a_session_and_open_ones_declare_that_they_are(
    document: dict[str, Any],
) -> None:
    paths = document["paths"]
    assert paths["/api/v1/things/{thing_id}"]["get"]["security"] == [{"HTTPBearer": []}, {"APIKeyCookie": []}]
    assert paths["/api/v1/things/open/content"]["get"]["security"] == []
    assert set(document["components"]["securitySchemes"]) == {"HTTPBearer", "APIKeyCookie"}


def test_I3_if_match_is_required_where_its_absence_is_428(document: dict[str, Any]) -> None:
    paths = document["paths"]
    replace = parameters(paths["/api/v1/things/{thing_id}"]["put"])["If-Match"]
    wake = parameters(paths["/api/v1/things/{thing_id}/wake"]["post"])["If-Match"]
    assert (replace["required"], wake["required"]) == (True, False)


def test_I1_parameters_are_never_null(document: dict[str, Any]) -> None:
    get = parameters(document["paths"]["/api/v1/things/{thing_id}"]["get"])
    assert get["search"]["schema"] == {"type": "string"}
    assert get["thing_id"]["description"] == "the id of the thing"


def test_I1_responses_have_their_headers_whole_examples_and_problems(document: dict[str, Any]) -> None:
    responses = document["paths"]["/api/v1/things/{thing_id}"]["get"]["responses"]
    assert responses["200"]["content"]["application/json"]["example"] == EXAMPLE
    assert set(responses["200"]["headers"]) == {"ETag"}
    assert set(responses["429"]["headers"]) == set(responses["503"]["headers"]) == {"Retry-After"}
    assert set(responses["404"]["content"]) == {"application/problem+json"}
    assert "ProblemDocument" in document["components"]["schemas"]


def test_I1_files_are_bytes(document: dict[str, Any]) -> None:
    response = document["paths"]["/api/v1/things/open/content"]["get"]["responses"]["200"]
    assert response["content"] == {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    assert set(response["headers"]) == {"Accept-Ranges"}
