"""Users of a tenant: made, given roles, shut out and let in again by administrators."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from job_api.errors import Fault, Invalid, NotFound, Refused
from job_api.passwords import Passwords
from job_api.service.authentication import Recognition
from job_api.service.subjects import standing
from job_api.store import Actor, Change, Database, Once, identities
from job_api.store.change import Answer
from job_api.store.identities import Credential, User
from job_api.store.listing import Page, Wish
from shared.auth import Identity
from shared.clock import Clock
from shared.events.values import Role

PASSWORD_LEAST = 10
NAME_MOST = 200


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to be different about a user; None leaves it as it is."""

    roles: tuple[Role, ...] | None = None
    disabled: bool | None = None
    password: str | None = None

    def __repr__(self) -> str:
        """Keep the password out of logs and tracebacks."""
        return f"UserChange(roles={self.roles}, disabled={self.disabled})"


class Users:
    """Users of the tenant of whoever asks."""

    def __init__(self, database: Database, clock: Clock, passwords: Passwords, recognition: Recognition) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._recognition = recognition

    async def create(
        self,
        who: Identity,
        name: str,
        roles: tuple[Role, ...],
        password: str | None,
        once: Once,
        render: Callable[[User, str | None], Answer],
    ) -> Answer:
        """Make a user. Raises Invalid, Refused or IdempotencyConflict.

        A password that is made up here is in this answer only; what is kept for the same request has none.
        """
        name = _checked(name.strip(), password)
        made_up = secrets.token_urlsafe(15) if password is None else None
        stored = await self._passwords.hashed(password or made_up or "")
        new: User | None = None
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:

            async def make() -> Answer:
                nonlocal new
                new = await _insert(change, User(uuid4(), who.tenant_id, name, stored, roles, created_at=change.at))
                return render(new, None)

            answer = await change.once(once, make)
        return answer if new is None else render(new, made_up)

    async def change(self, who: Identity, user_id: UUID, wanted: UserChange) -> User:
        """Change a user; keys and sessions follow at once. Raises NotFound, Invalid, or Refused for the last admin."""
        _check_password(wanted.password)
        stored = await self._passwords.hashed(wanted.password) if wanted.password is not None else None
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            everybody = {user.user_id: user for user in await identities.locked_users(change.database, who.tenant_id)}
            before = everybody.get(user_id)
            if before is None:
                raise NotFound("user")
            after = replace(
                before,
                roles=before.roles if wanted.roles is None else wanted.roles,
                disabled=before.disabled if wanted.disabled is None else wanted.disabled,
                password_hash=stored or before.password_hash,
            )
            _check_issuers(before, wanted)
            _keep_an_admin([user for user in everybody.values() if user is not before] + [after])
            saved = await identities.update_user(change.database, after)
            followed = await _follow(
                change, saved, shut_out=saved.disabled, new_password=stored is not None, asks=who.identity_id
            )
            change.note("user.edit", user_id, before=_document(before), after=_document(saved))
        self._recognition.forget(followed)
        return saved

    async def change_own_password(self, who: Identity, current: str, new: str) -> None:
        """Change the caller's password and end the caller's other sessions. Raises Invalid or NotFound."""
        _check_password(new)
        async with self._database.looking(who.tenant_id) as database:
            user = await identities.user(database, who.tenant_id, who.user_id)
        if not await self._passwords.fits(current, user.password_hash):
            raise Invalid(Fault("current", "is not your password"))
        stored = await self._passwords.hashed(new)
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            saved = await identities.update_user(change.database, replace(user, password_hash=stored))
            followed = await _follow(change, saved, shut_out=False, new_password=True, asks=who.identity_id)
            change.note("user.password", who.user_id)
        self._recognition.forget(followed)

    async def get(self, who: Identity, user_id: UUID) -> User:
        """Return a user. Raises NotFound."""
        async with self._database.looking(who.tenant_id) as database:
            return await identities.user(database, who.tenant_id, user_id)

    async def page(self, who: Identity, wish: Wish) -> Page[User]:
        """Return a page of users."""
        async with self._database.looking(who.tenant_id) as database:
            return await identities.users(database, who.tenant_id, wish)


async def _insert(change: Change, new: User) -> User:
    if not await identities.insert_user(change.database, new, change.at):
        raise Refused("user-exists", f"There is a user '{new.name}' already: take another name.")
    change.note("user.create", new.user_id, after=_document(new))
    return new


async def _follow(change: Change, user: User, *, shut_out: bool, new_password: bool, asks: UUID) -> list[UUID]:
    ended: list[Credential] = []
    if shut_out or new_password:
        but = None if shut_out else asks
        ended = await identities.revoke_all(change.database, user, change.at, keys=shut_out, but=but)
    changed = await identities.restrict(change.database, user)
    change.tell(*(each.to_event() for each in [*ended, *changed]))
    if user.issuer is not None:
        change.tell(standing(user))
    return [user.user_id, *(each.identity_id for each in [*ended, *changed])]


def _keep_an_admin(users: list[User]) -> None:
    # One with a password of ours: the identity provider may be away, or be told something else tomorrow.
    if not any("admin" in user.roles and not user.disabled and user.issuer is None for user in users):
        raise Refused("last-admin", "This is the last administrator who can log in: make another one first.")


def _check_issuers(user: User, wanted: UserChange) -> None:
    if user.issuer is not None:
        told = {"roles": wanted.roles, "password": wanted.password}
        faults = [Fault(name, "is up to the identity provider") for name, each in told.items() if each is not None]
        if faults:
            raise Invalid(*faults)


def _checked(name: str, password: str | None) -> str:
    if not 1 <= len(name) <= NAME_MOST or not name.isprintable():
        raise Invalid(Fault("name", f"from 1 to {NAME_MOST} characters, none of them invisible"))
    _check_password(password)
    return name


def _check_password(password: str | None) -> None:
    if password is not None and len(password) < PASSWORD_LEAST:
        raise Invalid(Fault("password", f"{PASSWORD_LEAST} characters or more; length is what makes a password good"))


def _document(user: User) -> dict[str, Any]:
    return {"name": user.name, "roles": list(user.roles), "disabled": user.disabled}
