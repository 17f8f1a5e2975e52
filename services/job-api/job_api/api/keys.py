"""`/api/v1/keys`: API keys."""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from job_api.api.services import Access, Units
from job_api.bodies.fields import Body
from job_api.commands import respond_once
from job_api.domain.drafts import MAX_TITLE
from job_api.queries import KeyQuery
from job_api.roles import Admin
from job_api.service.credentials import IssuedCredential
from job_api.store import UnitOfWork
from job_api.store.identities import Credential, KeyState
from shared.events.values import Role
from shared.http.idempotency import Idempotent, RenderedResponse
from shared.http.openapi import json_response
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

_KEY: dict[str, Any] = {
    "id": "3c1f7c52-1f0b-4f0e-8d43-6f1f5c7e9b10",
    "name": "warehouse loader",
    "state": "active",
    "roles": ["downloader"],
    "created_at": "2026-11-24T10:00:00Z",
    "expires_at": "2027-11-24T10:00:00Z",
    "revoked_at": None,
}
_NEW_KEY = _KEY | {"token": "slc_3c1f7c521f0b4f0e8d436f1f5c7e9b10_..."}
router = create_router("/api/v1/keys", "access")


class KeyBody(Body):
    """An API key to create."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"name": "warehouse loader", "roles": ["downloader"], "days": 365}]},
    )

    name: str = Field(max_length=1_000, description=f"1 to {MAX_TITLE} characters after trimming")
    roles: tuple[Role, ...] = Field(max_length=4, json_schema_extra={"minItems": 1})
    days: int | None = Field(
        default=None, strict=True, ge=1, le=3650, description="days until the key expires; null: never"
    )

    @property
    def lifetime(self) -> timedelta | None:
        """How long the key is valid; None: until it is revoked."""
        return timedelta(days=self.days) if self.days else None


class ApiKey(BaseModel):
    """An API key, without its token."""

    id: UUID
    name: str
    state: KeyState
    roles: tuple[Role, ...]
    created_at: datetime
    expires_at: datetime | None = Field(description="null: never")
    revoked_at: datetime | None

    @classmethod
    def from_credential(cls, credential: Credential, now: datetime) -> "ApiKey":
        """Return a key as the API shows it at an instant."""
        return cls(
            id=credential.identity_id,
            name=credential.name,
            state=credential.get_state(now),
            roles=credential.roles,
            created_at=credential.created_at,
            expires_at=credential.expires_at,
            revoked_at=credential.revoked_at,
        )


class NewApiKey(ApiKey):
    """A new API key."""

    token: str | None = Field(description="the bearer token, shown once; null if the response is repeated")


class ApiKeyPage(BaseModel):
    """A page of API keys."""

    items: list[ApiKey]
    next: str | None = Field(description="the cursor of the next page; null on the last")


@router.post(
    "",
    operation_id="createKey",
    summary="Create an API key",
    status_code=201,
    response_model=NewApiKey,
    responses=json_response(_NEW_KEY, status=201, headers=("Location",))
    | error_responses(ProblemType.IDEMPOTENCY_CONFLICT, ProblemType.TOO_LARGE),
)
async def create_key(identity: Admin, *, body: KeyBody, request: Idempotent, units: Units, access: Access) -> Response:
    """Create an API key; its token is in this response and nowhere else."""

    async def create(work: UnitOfWork) -> RenderedResponse:
        return _render_key(await access.create_key(work, body.name, body.roles, lifetime=body.lifetime))

    return await respond_once(units, identity, request, command=create)


@router.get(
    "",
    operation_id="listKeys",
    summary="List API keys",
    responses=json_response({"items": [_KEY], "next": None}) | error_responses(),
)
async def list_keys(identity: Admin, query: Annotated[KeyQuery, Query()], access: Access) -> ApiKeyPage:
    """Return a page of the tenant's API keys, without their tokens, filtered and sorted."""
    now = access.now()
    page = await access.list_keys(identity, query.to_page_request(), now)
    items = [ApiKey.from_credential(each, now) for each in page.items]
    return ApiKeyPage(items=items, next=query.next_cursor(page))


@router.delete(
    "/{key_id:uuid}",
    operation_id="revokeKey",
    summary="Revoke an API key",
    status_code=204,
    responses=error_responses(ProblemType.NOT_FOUND),
)
async def revoke_key(identity: Admin, *, key_id: UUID, units: Units, access: Access) -> None:
    """Revoke an API key for good; no service accepts it five seconds later."""
    async with units.begin(identity) as work:
        await access.revoke_key(work, key_id)


def _render_key(issued: IssuedCredential) -> RenderedResponse:
    key = ApiKey.from_credential(issued.credential, issued.credential.created_at)
    headers = {"Location": f"/api/v1/keys/{key.id}"}
    return RenderedResponse(key.model_dump(mode="json"), headers=headers, secrets={"token": str(issued.token)})
