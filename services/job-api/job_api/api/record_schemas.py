"""`/api/v1/record-schemas`: the JSON Schemas of exported records (rule E4), which are the same for all tenants."""

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from job_api.roles import AnyRole
from shared.http.openapi import json_response
from shared.http.problems import ProblemType, error_responses, not_found
from shared.http.routing import create_router
from shared.record_schemas import LATEST, RECORD_TYPES, RecordType, read_record_schema

MEDIA_TYPE = "application/schema+json"
RecordTypeName = Annotated[
    str,
    Path(
        max_length=100,
        description="as listed by `GET /api/v1/record-schemas`",
        json_schema_extra={"enum": list(RECORD_TYPES)},
    ),
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
_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A JSON Schema (draft 2020-12), of which every line of a file of this type is an instance",
        "content": {MEDIA_TYPE: {"schema": {"type": "object"}, "example": _SCHEMA}},
    }
}
router = create_router("/api/v1/record-schemas", "records")


class RecordSchema(BaseModel):
    """Where a record type's newest schema is; a run's manifest has the version of its files as `schema_version`."""

    type: RecordType
    version: int = Field(description="rises with each change of the records' form")
    location: str


class RecordSchemaList(BaseModel):
    """The record types and their schemas."""

    items: list[RecordSchema]


@router.get(
    "",
    operation_id="listRecordSchemas",
    summary="List record schemas",
    responses=json_response(_LIST) | error_responses(),
)
async def list_record_schemas(identity: AnyRole) -> RecordSchemaList:
    """Return the record types, each with the newest version and the location of its schema."""
    return RecordSchemaList.model_validate(_LIST)


@router.get(
    "/{record_type}",
    operation_id="getRecordSchema",
    summary="Get the JSON Schema of a record type",
    response_class=Response,
    responses=_RESPONSE | error_responses(ProblemType.NOT_FOUND),
)
async def get_record_schema(identity: AnyRole, record_type: RecordTypeName) -> Response:
    """Return the JSON Schema (draft 2020-12) of every line of a file of this type."""
    known = next((each for each in RECORD_TYPES if each == record_type), None)
    if known is None:
        raise not_found("record type")
    return Response(read_record_schema(known), media_type=MEDIA_TYPE)
