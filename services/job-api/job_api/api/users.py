"""`/api/v1/users`, for administrators, and `/api/v1/me/password`."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from job_api.api.services import Units, Users
from job_api.bodies.fields import Body
from job_api.commands import respond_once
from job_api.queries import UserQuery
from job_api.roles import Admin
from job_api.service.users import MAX_NAME, MIN_PASSWORD, NewUserData, PasswordChange
from job_api.sessions import get_client_address
from job_api.store import UnitOfWork, identities
from shared.events.values import Role
from shared.http.idempotency import Idempotent, RenderedResponse
from shared.http.identity import CurrentIdentity
from shared.http.openapi import json_response
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

Password = Annotated[str, Field(max_length=1_000, description=f"at least {MIN_PASSWORD} characters")]
_USER: dict[str, Any] = {
    "id": "7b0d1f0e-0a43-4a10-9f58-3b1b7b9f1a22",
    "name": "ana",
    "roles": ["operator", "downloader"],
    "disabled": False,
    "created_at": "2026-11-24T10:00:00Z",
    "issuer": None,
}
_NEW_USER = _USER | {"password": "X0c8pK1v2m7Qd4Zs9LwT"}
router = create_router("/api/v1", "access")


class UserBody(Body):
    """A user to create."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"name": "ben", "roles": ["viewer"]}]}
    )

    name: str = Field(max_length=MAX_NAME * 2, description=f"1 to {MAX_NAME} characters after trimming")
    roles: tuple[Role, ...] = Field(max_length=4, description="without any, all pages and operations are denied")
    password: Password | None = Field(None, description="null: one is generated and shown once")


class UserPatch(Body):
    """What to change about a user; what is omitted or null stays as it is."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"roles": ["operator"], "disabled": False}]}
    )

    roles: tuple[Role, ...] | None = Field(default=None, max_length=4)
    disabled: bool | None = Field(default=None, strict=True)
    password: Password | None = None


class PasswordBody(Body):
    """The caller's current and new password."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"current": "correct horse", "new": "battery staple"}]},
    )

    current: str = Field(max_length=1_000)
    new: Password


class User(BaseModel):
    """A user, who may log in unless disabled."""

    id: UUID
    name: str
    roles: tuple[Role, ...]
    disabled: bool
    created_at: datetime | None
    issuer: str | None = Field(description="the identity provider that authenticates the user; null: a password")

    @classmethod
    def from_user(cls, user: identities.User) -> "User":
        """Return a user as the API shows it."""
        return cls(
            id=user.user_id,
            name=user.name,
            roles=user.roles,
            disabled=user.disabled,
            created_at=user.created_at,
            issuer=user.issuer,
        )


class NewUser(User):
    """A new user."""

    password: str | None = Field(
        description="the generated password, shown once; null if one was given or the response is repeated"
    )


class UserPage(BaseModel):
    """A page of users."""

    items: list[User]
    next: str | None = Field(description="the cursor of the next page; null on the last")


@router.post(
    "/users",
    operation_id="createUser",
    summary="Create a user",
    status_code=201,
    response_model=NewUser,
    responses=json_response(_NEW_USER, status=201, headers=("Location",))
    | error_responses(ProblemType.USER_EXISTS, ProblemType.IDEMPOTENCY_CONFLICT, ProblemType.TOO_LARGE),
)
async def create_user(identity: Admin, *, body: UserBody, request: Idempotent, units: Units, users: Users) -> Response:
    """Create a user who logs in with a password; without one, a password is generated and shown once."""
    new = await users.prepare_user(body.name, body.roles, body.password)

    async def create(work: UnitOfWork) -> RenderedResponse:
        return _render_user(await users.create(work, new), new)

    return await respond_once(units, identity, request, command=create)


@router.get(
    "/users",
    operation_id="listUsers",
    summary="List users",
    responses=json_response({"items": [_USER], "next": None}) | error_responses(),
)
async def list_users(identity: Admin, query: Annotated[UserQuery, Query()], users: Users) -> UserPage:
    """Return a page of the tenant's users, including those of the identity provider."""
    page = (await users.list_page(identity, query.to_page_request())).map(User.from_user)
    return UserPage(items=page.items, next=query.next_cursor(page))


@router.get(
    "/users/{user_id:uuid}",
    operation_id="getUser",
    summary="Get a user",
    responses=json_response(_USER) | error_responses(ProblemType.NOT_FOUND),
)
async def get_user(identity: Admin, user_id: UUID, users: Users) -> User:
    """Return a user."""
    return User.from_user(await users.get(identity, user_id))


@router.patch(
    "/users/{user_id:uuid}",
    operation_id="updateUser",
    summary="Change, disable or enable a user",
    responses=json_response(_USER)
    | error_responses(ProblemType.NOT_FOUND, ProblemType.LAST_ADMIN, ProblemType.TOO_LARGE),
)
async def update_user(identity: Admin, *, user_id: UUID, patch: UserPatch, units: Units, users: Users) -> User:
    """Change a user's roles or password, or disable the user; sessions and keys follow within five seconds.

    Users of an identity provider can only be disabled and enabled.
    """
    change = await users.prepare_change(roles=patch.roles, disabled=patch.disabled, password=patch.password)
    async with units.begin(identity) as work:
        return User.from_user(await users.change(work, user_id, change, caller=identity))


@router.put(
    "/me/password",
    operation_id="changePassword",
    summary="Change the caller's password",
    status_code=204,
    responses=error_responses(ProblemType.TOO_MANY_ATTEMPTS, ProblemType.TOO_LARGE),
)
async def change_password(
    identity: CurrentIdentity, *, body: PasswordBody, request: Request, units: Units, users: Users
) -> None:
    """Change the caller's password, which ends the caller's other sessions; wrong ones count like failed logins."""
    change = PasswordChange(body.current, body.new, get_client_address(request))
    password_hash = await users.prepare_own_password(identity, change)
    async with units.begin(identity) as work:
        await users.change_own_password(work, identity, password_hash)


def _render_user(user: identities.User, new: NewUserData) -> RenderedResponse:
    body = User.from_user(user).model_dump(mode="json")
    headers = {"Location": f"/api/v1/users/{user.user_id}"}
    return RenderedResponse(body, headers=headers, secrets={"password": new.generated})
