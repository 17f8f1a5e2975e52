"""Users, for administrators: made, given roles, shut out and let in again (U2)."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from job_api.errors import Invalid, Refused
from job_api.pages.account.lists import ROLE_WORDS, users_shown
from job_api.pages.kit.forms import Form, form_of
from job_api.pages.kit.notices import done
from job_api.pages.kit.rendering import render, visitor
from job_api.roles import ADMINS
from job_api.service import Access
from job_api.service import Users as Service
from job_api.service.users import UserChange
from job_api.store import Once
from job_api.store.identities import User
from shared.auth import Identity
from shared.events.values import Role


@dataclass(frozen=True)
class Users:
    """What the pages of users need."""

    access: Access
    users: Service

    async def index(self, request: Request) -> Response:
        """Show a page of the users."""
        return await self._page(request, await visitor(self.access, request, *ADMINS))

    async def create(self, request: Request) -> Response:
        """Make a user; a password that was made up is shown this once."""
        who = await visitor(self.access, request, *ADMINS)
        form, sent = await form_of(request), hashlib.sha256(await request.body()).hexdigest()
        name, password = form.get("name"), form.get("password") or None
        try:
            made = await self.users.create(
                who, name, _roles(form), password, Once("create-user", f"page-{sent}", sent), _made
            )
        except Invalid as error:
            faults = {each.field: each.message[:1].upper() + each.message[1:] for each in error.faults}
            return await self._page(request, who, faults=faults, typed=form)
        except Refused as error:
            return await self._page(request, who, faults={"name": error.detail}, typed=form)
        if password is not None:
            return done("/users", "user-made")
        return render(request, "user_made.html", name=name, password=made["password"])

    async def show(self, request: Request) -> Response:
        """Show one user, to be changed."""
        who = await visitor(self.access, request, *ADMINS)
        return self._one(request, await self.users.get(who, request.path_params["user_id"]))

    async def change(self, request: Request) -> Response:
        """Change a user's roles or password, or shut the user out."""
        who = await visitor(self.access, request, *ADMINS)
        form, user_id = await form_of(request), request.path_params["user_id"]
        wanted = UserChange(_roles(form), form.get("disabled") == "yes", form.get("password") or None)
        try:
            await self.users.change(who, user_id, wanted)
        except Invalid as error:
            user = await self.users.get(who, user_id)
            return self._one(request, user, wanted, {each.field: each.message for each in error.faults})
        except Refused as error:
            return self._one(request, await self.users.get(who, user_id), wanted, {"roles": error.detail})
        return done("/users", "user-saved")

    def _one(
        self,
        request: Request,
        user: User,
        wanted: UserChange | None = None,
        faults: Mapping[str, str] | None = None,
    ) -> Response:
        roles = user.roles if wanted is None or wanted.roles is None else wanted.roles
        disabled = user.disabled if wanted is None else bool(wanted.disabled)
        return render(
            request,
            "user.html",
            status=422 if faults else 200,
            user=user,
            chosen=roles,
            disabled=disabled,
            roles=ROLE_WORDS,
            faults={name: words[:1].upper() + words[1:] for name, words in (faults or {}).items()},
        )

    async def _page(
        self, request: Request, who: Identity, *, faults: Mapping[str, str] | None = None, typed: Form | None = None
    ) -> Response:
        return render(
            request,
            "users.html",
            status=422 if faults else 200,
            users=await users_shown(self.users, who, request),
            faults=faults or {},
            name=typed.get("name") if typed else "",
            chosen=_roles(typed) if typed else (),
            roles=ROLE_WORDS,
        )


def _roles(form: Form) -> tuple[Role, ...]:
    return tuple(role for role in ROLE_WORDS if role in form.all("role"))


def _made(user: User, password: str | None) -> dict[str, Any]:
    return {"id": str(user.user_id), "password": password}
