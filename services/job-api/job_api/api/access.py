"""Who asks: `/api/v1/me`, `/api/v1/session`, `/api/v1/keys`."""

from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from job_api.api.drafts import Body
from job_api.api.problems import refused
from job_api.api.requests import answered, once
from job_api.api.views import UtcInstant
from job_api.list_query import SORT_WORDS, HeldRole, ListQuery, Text, When
from job_api.roles import Admin
from job_api.service import Access, Door, Login
from job_api.service.issuing import Issued
from job_api.sessions import address_of, end_session, logged_in
from job_api.store import Once
from job_api.store.change import Answer
from job_api.store.identities import Credential, KeyState
from job_api.store.lists import KEYS
from shared.auth import Identity
from shared.events.values import Role
from shared.http.identity import CurrentIdentity

Creating = Annotated[Once, Depends(once("create-key"))]
Sort = Literal["name", "state", "roles", "created_at", "expires_at", "revoked_at"]
Descending = Literal["-name", "-state", "-roles", "-created_at", "-expires_at", "-revoked_at"]
_ME: dict[str, Any] = {
    "user_id": "7b0d1f0e-0a43-4a10-9f58-3b1b7b9f1a22",
    "tenant_id": "b1f2a7de-64c5-4c9b-8a44-0d8f5a2f9c33",
    "name": "ana",
    "roles": ["operator"],
}


class Me(BaseModel):
    """Who asks, and what they may do."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ME]})

    user_id: UUID
    tenant_id: UUID
    name: str
    roles: list[Role]

    @classmethod
    def of(cls, who: Identity) -> "Me":
        """Return an identity as it is answered."""
        return cls(user_id=who.user_id, tenant_id=who.tenant_id, name=who.name, roles=sorted(who.roles))


class LoginBody(Body):
    """What somebody types at the door; without a tenant the user name must be used in one only."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"user": "ana", "password": "correct horse"}]}
    )

    user: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")
    password: str = Field(min_length=1, max_length=1_000)
    tenant: str | None = Field(None, max_length=200, pattern=r"^[^\x00]*$")
    remember: bool = Field(default=False, strict=True)


class SessionOut(Me):
    """A session, whose cookie has been set."""

    expires_at: UtcInstant


class KeyBody(Body):
    """An API key as an administrator asks for it."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"name": "warehouse loader", "roles": ["downloader"], "days": 365}]},
    )

    name: str = Field(max_length=1_000, description="1 to 200 characters")
    roles: tuple[Role, ...] = Field(max_length=4)
    days: int | None = Field(
        default=None, strict=True, ge=1, le=3650, description="how long it is good; null: until it is revoked"
    )


_KEY: dict[str, Any] = {
    "id": "3c1f7c52-1f0b-4f0e-8d43-6f1f5c7e9b10",
    "name": "warehouse loader",
    "state": "active",
    "roles": ["downloader"],
    "created_at": "2026-11-24T10:00:00Z",
    "expires_at": "2027-11-24T10:00:00Z",
    "revoked_at": None,
}


class KeyOut(BaseModel):
    """An API key."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY]})

    id: UUID
    name: str
    state: KeyState
    roles: tuple[Role, ...]
    created_at: UtcInstant
    expires_at: UtcInstant | None
    revoked_at: UtcInstant | None

    @classmethod
    def of(cls, found: Credential, now: datetime) -> "KeyOut":
        """Return a key as it is answered."""
        return cls(
            id=found.identity_id,
            name=found.name,
            state=found.state_at(now),
            roles=found.roles,
            created_at=found.created_at,
            expires_at=found.expires_at,
            revoked_at=found.revoked_at,
        )


class NewKeyOut(KeyOut):
    """A new API key; `token` is shown once, and is null in the answer to the same request sent again."""

    model_config = ConfigDict(json_schema_extra={"examples": [_KEY | {"token": "slc_3c1f7c52..._..."}]})

    token: str | None


class KeyPage(BaseModel):
    """A page of API keys; `next` is the cursor of the one after, null on the last."""

    items: list[KeyOut]
    next: str | None


class KeyQuery(ListQuery):
    """Which keys to list, and how."""

    listing: ClassVar = KEYS

    sort: Sort | Descending = Field("-created_at", description=SORT_WORDS)
    search: Text | None = Field(None, description="in the name")
    state: KeyState | None = Field(None, description="good to ask with, past its time, or revoked")
    role: HeldRole | None = Field(None, description="has this role; `none`: has no role left")
    created_from: When | None = Field(None, description="made at this instant or later")
    created_until: When | None = Field(None, description="made before this instant")
    expires_from: When | None = Field(None, description="good until this instant or later, or for ever")
    expires_until: When | None = Field(None, description="good until before this instant")
    revoked_from: When | None = Field(None, description="revoked at this instant or later")
    revoked_until: When | None = Field(None, description="revoked before this instant")


def access_routes(access: Access, door: Door) -> APIRouter:
    """Return the routes of sessions and of oneself."""
    routes = APIRouter(prefix="/api/v1", tags=["access"])

    @routes.get("/me", operation_id="getMe", summary="Say who asks", responses=refused())
    async def me(who: CurrentIdentity) -> Me:
        """Return who asks, in which tenant, with which roles."""
        return Me.of(who)

    @routes.post(
        "/session",
        operation_id="logIn",
        summary="Begin a session: sets its cookie",
        status_code=201,
        responses=refused(413, 429),
    )
    async def log_in(login: LoginBody, request: Request, response: Response) -> SessionOut:
        """Begin a session and set its cookie; attempts are limited for each account and address."""
        issued = await logged_in(door, Login(**login.model_dump(), address=address_of(request)), request, response)
        return _session(issued)

    @routes.delete("/session", operation_id="logOut", summary="End the session", status_code=204, responses=refused())
    async def log_out(who: CurrentIdentity, response: Response) -> None:
        """End the session that asks; no service takes it five seconds later."""
        await access.log_out(who)
        end_session(response)

    return routes


def key_routes(access: Access) -> APIRouter:
    """Return the routes of API keys."""
    routes = APIRouter(prefix="/api/v1/keys", tags=["access"])

    @routes.post(
        "",
        operation_id="createKey",
        summary="Make an API key; its token is shown this once",
        status_code=201,
        response_model=NewKeyOut,
        responses=refused(409, 413),
    )
    async def create(who: Admin, key: KeyBody, once: Creating) -> JSONResponse:
        """Make an API key with some roles; its token is in this answer and nowhere else."""
        lasting = timedelta(days=key.days) if key.days else None
        return answered(await access.make_key(who, key.name, key.roles, lasting, once, _made))

    @routes.get("", operation_id="listKeys", summary="List API keys, a page at a time", responses=refused())
    async def index(who: Admin, query: Annotated[KeyQuery, Query()]) -> KeyPage:
        """Return a page of the tenant's API keys, without their tokens, filtered and sorted here."""
        now = access.now()
        page = await access.keys(who, query.to_wish(), now)
        return KeyPage(items=[KeyOut.of(each, now) for each in page.items], next=query.next_of(page))

    @routes.delete(
        "/{key_id:uuid}",
        operation_id="revokeKey",
        summary="Revoke an API key, at once and for good",
        status_code=204,
        responses=refused(404),
    )
    async def revoke(who: Admin, key_id: UUID) -> None:
        """Revoke an API key; no service takes it five seconds later."""
        await access.revoke_key(who, key_id)

    return routes


def _session(issued: Issued) -> SessionOut:
    assert issued.credential.expires_at is not None
    who = Me.of(issued.credential.to_identity())
    return SessionOut(**who.model_dump(), expires_at=issued.credential.expires_at)


def _made(issued: Issued, token: str | None) -> Answer:
    shown = KeyOut.of(issued.credential, issued.credential.created_at)
    body = NewKeyOut(**shown.model_dump(), token=token).model_dump(mode="json")
    return {"status": 201, "headers": {"Location": f"/api/v1/keys/{body['id']}"}, "body": body}
