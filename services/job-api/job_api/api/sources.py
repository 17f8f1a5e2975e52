"""`/api/v1/sources`: what can be exported, as data (rule J2)."""

from typing import Any

from pydantic import BaseModel

from job_api.api.services import Tenants
from job_api.domain.catalog import SOURCES, format_media_type
from job_api.roles import Reader
from job_api.store import identities
from shared.http.openapi import json_response
from shared.http.problems import error_responses
from shared.http.routing import create_router

_SOURCES: dict[str, Any] = {
    "items": [
        {
            "id": "contact_history",
            "title": "Contact history",
            "types": [
                {
                    "id": "interaction",
                    "title": "Interactions",
                    "media_types": [{"id": "email", "title": "E-mail"}],
                },
                {"id": "contact", "title": "Contacts", "media_types": []},
            ],
        }
    ]
}
router = create_router("/api/v1/sources", "jobs")


class SourceMediaType(BaseModel):
    """A media type: the value that the API accepts, and its title."""

    id: str
    title: str


class SourceRecordType(BaseModel):
    """A record type: the value that the API accepts, its title, and its media types; empty if it has none."""

    id: str
    title: str
    media_types: list[SourceMediaType]


class Source(BaseModel):
    """A source of records: the value that the API accepts, its title, and its record types."""

    id: str
    title: str
    types: list[SourceRecordType]


class SourceList(BaseModel):
    """The sources that the tenant can export from."""

    items: list[Source]

    @classmethod
    def from_tenant(cls, tenant: identities.Tenant) -> "SourceList":
        """Return the choices of a tenant."""
        media = [SourceMediaType(id=each, title=format_media_type(each)) for each in tenant.media_types]
        return cls(
            items=[
                Source(
                    id=source.source_id,
                    title=source.title,
                    types=[
                        SourceRecordType(id=kind, title=title, media_types=media if kind == "interaction" else [])
                        for kind, title in source.types
                    ],
                )
                for source in SOURCES
            ]
        )


@router.get(
    "",
    operation_id="listSources",
    summary="List sources",
    responses=json_response(_SOURCES) | error_responses(),
)
async def list_sources(identity: Reader, tenants: Tenants) -> SourceList:
    """Return the sources, their record types, and the tenant's media types."""
    return SourceList.from_tenant(await tenants.get(identity))
