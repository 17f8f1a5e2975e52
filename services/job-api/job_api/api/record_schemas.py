"""`/api/v1/record-schemas`: what one line of an exported file holds (E4)."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from job_api.api.problems import refused
from job_api.roles import Anybody
from shared.http.problems import not_found
from shared.record_schemas import LATEST, RECORD_TYPES, RecordType, read_record_schema

MEDIA_TYPE = "application/schema+json"
Type = Annotated[
    str,
    Path(description="as `GET /api/v1/record-schemas` lists them", json_schema_extra={"enum": list(RECORD_TYPES)}),
]
_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Contact",
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}},
}
_LIST: dict[str, Any] = {
    "items": [{"type": each, "version": LATEST, "location": f"/api/v1/record-schemas/{each}"} for each in RECORD_TYPES]
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "a JSON Schema, draft 2020-12; every line of a file of this type is an instance of it",
        "content": {MEDIA_TYPE: {"schema": {"type": "object"}, "example": _SCHEMA}},
    }
}


class RecordSchemaOut(BaseModel):
    """Where a record type's newest schema is; a run's manifest says as `schema_version` which its files have."""

    type: RecordType
    version: int = Field(description="rises with each change of the records' form")
    location: str


class RecordSchemaList(BaseModel):
    """The record types, each with its schema's place."""

    model_config = ConfigDict(json_schema_extra={"examples": [_LIST]})

    items: list[RecordSchemaOut]


def record_schema_routes() -> APIRouter:
    """Return the routes of record schemas, which are the same for all tenants."""
    routes = APIRouter(prefix="/api/v1/record-schemas", tags=["records"])

    @routes.get(
        "", operation_id="listRecordSchemas", summary="List record types and their schemas", responses=refused()
    )
    async def index(who: Anybody) -> RecordSchemaList:
        """Return the record types, each with the newest version of its schema and where that is."""
        return RecordSchemaList.model_validate(_LIST)

    @routes.get(
        "/{record_type}",
        operation_id="getRecordSchema",
        summary="Read the JSON Schema of a record type",
        response_class=Response,
        responses=_ANSWERS | refused(404),
    )
    async def read(who: Anybody, record_type: Type) -> Response:
        """Return the JSON Schema (draft 2020-12) that every line of a file of this type follows."""
        known = next((each for each in RECORD_TYPES if each == record_type), None)
        if known is None:
            raise not_found("record type")
        return Response(read_record_schema(known), media_type=MEDIA_TYPE)

    return routes
