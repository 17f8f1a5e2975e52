"""`/api/v1/sources`: what can be exported, as data."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from job_api.api.problems import refused
from job_api.domain.catalog import SOURCES, media_title
from job_api.roles import Reader
from job_api.service import Jobs
from job_api.store.identities import Tenant


class Choice(BaseModel):
    """Something to choose: the value that the API takes, and its words."""

    id: str
    title: str


class TypeOut(Choice):
    """A record type; `media_types` is empty where the type has none, and a job then leaves them out."""

    media_types: list[Choice]


class SourceOut(Choice):
    """A place that records come from."""

    types: list[TypeOut]


class SourceList(BaseModel):
    """The sources that the tenant can export from."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
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
            ]
        }
    )

    items: list[SourceOut]

    @classmethod
    def of(cls, tenant: Tenant) -> "SourceList":
        """Return what a tenant can choose from."""
        media = [Choice(id=each, title=media_title(each)) for each in tenant.media_types]
        return cls(
            items=[
                SourceOut(
                    id=source.source_id,
                    title=source.title,
                    types=[
                        TypeOut(id=kind, title=title, media_types=media if kind == "interaction" else [])
                        for kind, title in source.types
                    ],
                )
                for source in SOURCES
            ]
        )


def source_routes(jobs: Jobs) -> APIRouter:
    """Return the routes of sources."""
    routes = APIRouter(prefix="/api/v1/sources", tags=["jobs"])

    @routes.get("", operation_id="listSources", summary="List sources, record types, media types", responses=refused())
    async def index(who: Reader) -> SourceList:
        """Return what can be exported: sources, their record types, and the tenant's media types."""
        return SourceList.of(await jobs.tenant(who))

    return routes
