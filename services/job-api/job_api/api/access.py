"""`/api/v1/me` and `/api/v1/session`: the caller's identity, logging in and out."""

from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from job_api.api.services import Access, Login, Units
from job_api.bodies.fields import Body
from job_api.service import LoginAttempt
from job_api.service.credentials import IssuedCredential
from job_api.sessions import clear_session_cookie, get_client_address, start_session
from shared.auth import Identity
from shared.events.values import Role
from shared.http.identity import CurrentIdentity
from shared.http.openapi import json_response
from shared.http.parameters import check_parameters
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

_IDENTITY: dict[str, Any] = {
    "user_id": "7b0d1f0e-0a43-4a10-9f58-3b1b7b9f1a22",
    "tenant_id": "b1f2a7de-64c5-4c9b-8a44-0d8f5a2f9c33",
    "name": "ana",
    "roles": ["operator"],
}
_SESSION = _IDENTITY | {"expires_at": "2026-11-24T22:00:00Z"}
router = create_router("/api/v1", "access")


class CallerIdentity(BaseModel):
    """The caller's identity."""

    user_id: UUID
    tenant_id: UUID
    name: str = Field(description="name of the user or API key")
    roles: list[Role]

    @classmethod
    def from_identity(cls, identity: Identity) -> "CallerIdentity":
        """Return an identity as the API shows it."""
        return cls(
            user_id=identity.user_id, tenant_id=identity.tenant_id, name=identity.name, roles=sorted(identity.roles)
        )


class LoginBody(Body):
    """A user name and password; the tenant is required only if several tenants use the user name."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"user": "ana", "password": "correct horse"}]}
    )

    user: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")
    password: str = Field(min_length=1, max_length=1_000)
    tenant: str | None = Field(None, max_length=200, pattern=r"^[^\x00]*$")
    remember: bool = Field(default=False, strict=True, description="keep the session for 30 days")


class Session(CallerIdentity):
    """A session, whose cookie has been set."""

    expires_at: datetime

    @classmethod
    def from_issued(cls, issued: IssuedCredential) -> "Session":
        """Return a new session as the API shows it."""
        assert issued.credential.expires_at is not None
        identity = CallerIdentity.from_identity(issued.credential.to_identity())
        return cls(**identity.model_dump(), expires_at=issued.credential.expires_at)


@router.get(
    "/me",
    operation_id="getMe",
    summary="Get the caller's identity",
    responses=json_response(_IDENTITY) | error_responses(),
)
async def get_me(identity: CurrentIdentity) -> CallerIdentity:
    """Return the caller's name, tenant and roles."""
    return CallerIdentity.from_identity(identity)


@router.post(
    "/session",
    operation_id="logIn",
    summary="Log in",
    status_code=201,
    responses=json_response(_SESSION, status=201)
    | error_responses(ProblemType.LOGIN_FAILED, ProblemType.TOO_MANY_ATTEMPTS, ProblemType.TOO_LARGE),
    dependencies=[Depends(check_parameters)],
)
async def log_in(body: LoginBody, *, request: Request, response: Response, login: Login) -> Session:
    """Start a session and set its cookie; attempts are limited per address and account, and per address."""
    attempt = LoginAttempt(**body.model_dump(), address=get_client_address(request))
    return Session.from_issued(await start_session(login, attempt, request=request, response=response))


@router.delete("/session", operation_id="logOut", summary="Log out", status_code=204, responses=error_responses())
async def log_out(identity: CurrentIdentity, *, response: Response, units: Units, access: Access) -> None:
    """End the caller's session; no service accepts it five seconds later."""
    async with units.begin(identity) as work:
        await access.log_out(work, identity)
    clear_session_cookie(response)
