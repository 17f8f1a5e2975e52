"""`/api/v1/tenant`: the organisation that the caller belongs to."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from job_api.api.drafts import Body
from job_api.api.problems import refused
from job_api.roles import Admin
from job_api.service import Tenants
from job_api.service.tenants import MEDIA_TYPE_MOST, MEDIA_TYPES_MOST
from job_api.store.identities import Tenant
from shared.http.identity import CurrentIdentity

_EXAMPLE: dict[str, Any] = {
    "id": "0192f0c1-7b1e-7000-8000-0000000000aa",
    "name": "Example Ltd",
    "source_tenant": 101,
    "media_types": ["email", "chat", "voice"],
}


class TenantPatch(Body):
    """What jobs may choose from."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"media_types": ["email", "chat", "fax"]}]}
    )

    media_types: tuple[Annotated[str, Field(max_length=MEDIA_TYPE_MOST)], ...] = Field(
        max_length=MEDIA_TYPES_MOST, description="as the source's column media_type_id has them"
    )


class TenantOut(BaseModel):
    """A customer organisation."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    name: str
    source_tenant: int = Field(description="the number that its rows bear in the source; fixed when it was made")
    media_types: tuple[str, ...]

    @classmethod
    def of(cls, tenant: Tenant) -> "TenantOut":
        """Return a tenant as it is answered."""
        return cls(
            id=tenant.tenant_id,
            name=tenant.name,
            source_tenant=tenant.source_tenant,
            media_types=tenant.media_types,
        )


def tenant_routes(tenants: Tenants) -> APIRouter:
    """Return the routes of the tenant."""
    routes = APIRouter(prefix="/api/v1/tenant", tags=["access"])

    @routes.get("", operation_id="getTenant", summary="Read the tenant that one belongs to", responses=refused())
    async def read(who: CurrentIdentity) -> TenantOut:
        """Return the caller's tenant."""
        return TenantOut.of(await tenants.get(who))

    @routes.patch(
        "",
        operation_id="patchTenant",
        summary="Change the media types that the tenant's jobs may choose from",
        responses=refused(413),
    )
    async def patch(who: Admin, wanted: TenantPatch) -> TenantOut:
        """Set the media types to choose from; saved jobs keep theirs. Name and number are given by the operator."""
        return TenantOut.of(await tenants.choose_media_types(who, wanted.media_types))

    return routes
