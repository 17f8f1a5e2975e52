"""`/api/v1/tenant`: the caller's organisation."""

from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from job_api.api.services import Tenants, Units
from job_api.bodies.fields import Body
from job_api.roles import Admin, AnyRole
from job_api.service.tenants import MAX_MEDIA_TYPE_LENGTH, MAX_MEDIA_TYPES
from job_api.store import identities
from shared.http.openapi import json_response
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

_TENANT: dict[str, Any] = {
    "id": "0192f0c1-7b1e-7000-8000-0000000000aa",
    "name": "Example Ltd",
    "source_tenant": 101,
    "media_types": ["email", "chat", "voice"],
    "external_id": "3d4c0a5e-6c1b-4b55-8a34-2b8d1f0c9e77",
}
router = create_router("/api/v1/tenant", "access")


class TenantPatch(Body):
    """What to change about the tenant."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"media_types": ["email", "chat", "fax"]}]}
    )

    media_types: tuple[Annotated[str, Field(max_length=MAX_MEDIA_TYPE_LENGTH)], ...] = Field(
        max_length=MAX_MEDIA_TYPES,
        description="the media types that jobs may choose from, as in the source's column media_type_id",
        json_schema_extra={"minItems": 1},
    )


class Tenant(BaseModel):
    """A customer organisation."""

    id: UUID
    name: str
    source_tenant: int = Field(description="the number that the tenant's rows bear in the source; it never changes")
    media_types: tuple[str, ...] = Field(description="the media types that jobs may choose from")
    external_id: UUID = Field(
        description="with which Sluice assumes a role of the tenant, to deliver to its S3 buckets"
    )

    @classmethod
    def from_tenant(cls, tenant: identities.Tenant) -> "Tenant":
        """Return a tenant as the API shows it."""
        return cls(
            id=tenant.tenant_id,
            name=tenant.name,
            source_tenant=tenant.source_tenant,
            media_types=tenant.media_types,
            external_id=tenant.external_id,
        )


@router.get(
    "",
    operation_id="getTenant",
    summary="Get the caller's tenant",
    responses=json_response(_TENANT) | error_responses(),
)
async def get_tenant(identity: AnyRole, tenants: Tenants) -> Tenant:
    """Return the caller's tenant."""
    return Tenant.from_tenant(await tenants.get(identity))


@router.patch(
    "",
    operation_id="updateTenant",
    summary="Change the tenant's media types",
    responses=json_response(_TENANT) | error_responses(ProblemType.TOO_LARGE),
)
async def update_tenant(identity: Admin, *, patch: TenantPatch, units: Units, tenants: Tenants) -> Tenant:
    """Set the media types that jobs may choose from; saved jobs keep theirs. The operator sets name and number."""
    async with units.begin(identity) as work:
        return Tenant.from_tenant(await tenants.update_media_types(work, patch.media_types))
