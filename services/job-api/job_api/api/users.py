"""`/api/v1/users`, for administrators, and `/api/v1/me/password` for everybody."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from job_api.api.drafts import Body
from job_api.api.problems import refused
from job_api.api.requests import answered, once
from job_api.api.views import UtcInstant
from job_api.list_query import SORT_WORDS, HeldRole, ListQuery, Text, When
from job_api.roles import Admin
from job_api.service import Users
from job_api.service.users import NAME_MOST, PASSWORD_LEAST, UserChange
from job_api.store import Once
from job_api.store.change import Answer
from job_api.store.identities import User
from job_api.store.lists import USERS
from shared.events.values import Role
from shared.http.identity import CurrentIdentity

Creating = Annotated[Once, Depends(once("create-user"))]
Sort = Literal["name", "roles", "disabled", "created_at", "issuer"]
Descending = Literal["-name", "-roles", "-disabled", "-created_at", "-issuer"]
Password = Annotated[str, Field(max_length=1_000, description=f"{PASSWORD_LEAST} characters or more")]
_EXAMPLE: dict[str, Any] = {
    "id": "7b0d1f0e-0a43-4a10-9f58-3b1b7b9f1a22",
    "name": "ana",
    "roles": ["operator", "downloader"],
    "disabled": False,
    "created_at": "2026-11-24T10:00:00Z",
    "issuer": None,
}


class UserBody(Body):
    """A user as an administrator asks for one; without a password one is made up and shown once."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"name": "ben", "roles": ["viewer"]}]}
    )

    name: str = Field(max_length=NAME_MOST * 2, description="1 to 200 characters")
    roles: tuple[Role, ...] = Field(max_length=4, description="none: the user is told that access is denied")
    password: Password | None = None


class UserPatch(Body):
    """What is to be different about a user."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"roles": ["operator"], "disabled": False}]}
    )

    roles: tuple[Role, ...] | None = Field(default=None, max_length=4)
    disabled: bool | None = Field(default=None, strict=True)
    password: Password | None = None


class PasswordBody(Body):
    """One's own password, and the one to come."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"current": "correct horse", "new": "battery staple"}]},
    )

    current: str = Field(max_length=1_000)
    new: Password


class UserOut(BaseModel):
    """Somebody who may log in, unless disabled."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: UUID
    name: str
    roles: tuple[Role, ...]
    disabled: bool
    created_at: UtcInstant | None
    issuer: str | None = Field(description="the identity provider that vouches for this user; null: a password does")

    @classmethod
    def of(cls, user: User) -> "UserOut":
        """Return a user as it is answered."""
        return cls(
            id=user.user_id,
            name=user.name,
            roles=user.roles,
            disabled=user.disabled,
            created_at=user.created_at,
            issuer=user.issuer,
        )


class NewUserOut(UserOut):
    """A new user; `password` is there once, when it was made up here."""

    password: str | None


class UserPage(BaseModel):
    """A page of users; `next` is the cursor of the one after, null on the last."""

    items: list[UserOut]
    next: str | None


class UserQuery(ListQuery):
    """Which users to list, and how."""

    listing: ClassVar = USERS

    sort: Sort | Descending = Field("name", description=SORT_WORDS)
    search: Text | None = Field(None, description="in the name")
    role: HeldRole | None = Field(None, description="has this role; `none`: has no role at all")
    disabled: bool | None = Field(None, description="shut out, or not")
    issuer: Text | None = Field(None, description="in the address of the identity provider that vouches for them")
    created_from: When | None = Field(None, description="added at this instant or later")
    created_until: When | None = Field(None, description="added before this instant")


def user_routes(users: Users) -> APIRouter:
    """Return the routes of users."""
    routes = APIRouter(prefix="/api/v1", tags=["access"])

    @routes.post(
        "/users",
        operation_id="createUser",
        summary="Make a user",
        status_code=201,
        response_model=NewUserOut,
        responses=refused(409, 413),
    )
    async def create(who: Admin, user: UserBody, once: Creating) -> JSONResponse:
        """Make a user who logs in with a password; without one, one is made up and shown this once."""
        return answered(await users.create(who, user.name, _distinct(user.roles), user.password, once, _made))

    @routes.get("/users", operation_id="listUsers", summary="List users, a page at a time", responses=refused())
    async def index(who: Admin, query: Annotated[UserQuery, Query()]) -> UserPage:
        """Return a page of the tenant's users, those of the identity provider among them, filtered and sorted here."""
        page = await users.page(who, query.to_wish())
        return UserPage(items=[UserOut.of(each) for each in page.items], next=query.next_of(page))

    @routes.get("/users/{user_id:uuid}", operation_id="getUser", summary="Read a user", responses=refused(404))
    async def read(who: Admin, user_id: UUID) -> UserOut:
        """Return a user."""
        return UserOut.of(await users.get(who, user_id))

    @routes.patch(
        "/users/{user_id:uuid}",
        operation_id="patchUser",
        summary="Change a user's roles or password, or shut the user out; keys and sessions follow at once",
        responses=refused(404, 409, 413),
    )
    async def patch(who: Admin, user_id: UUID, wanted: UserPatch) -> UserOut:
        """Change a user; sessions and keys follow within five seconds. An identity provider's can only be shut out."""
        roles = None if wanted.roles is None else _distinct(wanted.roles)
        return UserOut.of(await users.change(who, user_id, UserChange(roles, wanted.disabled, wanted.password)))

    @routes.put(
        "/me/password",
        operation_id="changePassword",
        summary="Change one's own password; other sessions of one's own end",
        status_code=204,
        responses=refused(413),
    )
    async def password(who: CurrentIdentity, body: PasswordBody) -> None:
        """Change one's own password, which ends one's other sessions."""
        await users.change_own_password(who, body.current, body.new)

    return routes


def _distinct(roles: tuple[Role, ...]) -> tuple[Role, ...]:
    return tuple(dict.fromkeys(roles))


def _made(user: User, password: str | None) -> Answer:
    body = NewUserOut(**UserOut.of(user).model_dump(), password=password).model_dump(mode="json")
    return {"status": 201, "headers": {"Location": f"/api/v1/users/{user.user_id}"}, "body": body}
