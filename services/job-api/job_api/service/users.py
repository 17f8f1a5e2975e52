"""Users of a tenant: created, given roles, disabled and enabled by administrators."""

import secrets
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

from job_api.domain.names import MAX_KEY, fold_name
from job_api.errors import FieldFault, InvalidInput, NotFound, OperationRefused
from job_api.passwords import PasswordService
from job_api.service.attempts import PER_ACCOUNT, count_attempt, forget_attempt, limit_by_account
from job_api.service.authentication import TokenAuthenticator
from job_api.service.subjects import to_identity_event
from job_api.store import Database, UnitOfWork, identities
from job_api.store.identities import Credential, User
from shared.auth import Identity
from shared.clock import Clock
from shared.events.values import Role
from shared.http.lists import Page, PageRequest

MIN_PASSWORD = 10
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class NewUserData:
    """A user to be created, with the password's hash; `generated` is the password if it was generated here."""

    name: str
    roles: tuple[Role, ...]
    password_hash: str
    generated: str | None

    def __repr__(self) -> str:
        """Keep the password out of logs and tracebacks."""
        return f"NewUserData({self.name!r}, {self.roles})"


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to change about a user; None leaves a value as it is."""

    roles: tuple[Role, ...] | None = None
    disabled: bool | None = None
    password_hash: str | None = None

    def __repr__(self) -> str:
        """Keep the password's hash out of logs and tracebacks."""
        return f"UserChange(roles={self.roles}, disabled={self.disabled})"


@dataclass(frozen=True, slots=True)
class PasswordChange:
    """The caller's current and new password, and the address of the request."""

    current: str
    new: str
    address: str

    def __repr__(self) -> str:
        """Keep the passwords out of logs and tracebacks."""
        return f"PasswordChange({self.address!r})"


class UserService:
    """The users of the caller's tenant. Hashing takes long, so passwords are prepared before a unit of work begins."""

    def __init__(
        self, database: Database, clock: Clock, *, passwords: PasswordService, authenticator: TokenAuthenticator
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._authenticator = authenticator

    async def prepare_user(self, name: str, roles: tuple[Role, ...], password: str | None) -> NewUserData:
        """Check and hash the data of a new user; without a password, generate one. Raises InvalidInput."""
        name = name.strip()
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable() or not 1 <= len(fold_name(name)) <= MAX_KEY:
            raise InvalidInput(FieldFault("name", f"from 1 to {MAX_NAME} characters, all of them printable"))
        _check_password(password)
        generated = secrets.token_urlsafe(15) if password is None else None
        password_hash = await self._passwords.hash(password or generated or "")
        return NewUserData(name, tuple(dict.fromkeys(roles)), password_hash, generated)

    async def prepare_change(
        self, *, roles: tuple[Role, ...] | None, disabled: bool | None, password: str | None
    ) -> UserChange:
        """Check and hash the data of a change; None leaves a value as it is. Raises InvalidInput."""
        _check_password(password)
        password_hash = await self._passwords.hash(password) if password is not None else None
        return UserChange(tuple(dict.fromkeys(roles)) if roles is not None else None, disabled, password_hash)

    async def prepare_own_password(self, identity: Identity, change: PasswordChange) -> str:
        """Verify the caller's current password; return the hash of the new one.

        A wrong one counts like a failed login. Raises InvalidInput, NotFound or TooManyAttempts.
        """
        _check_password(change.new)
        user = await self.get(identity, identity.user_id)
        limits = limit_by_account(user.name, change.address) | {f"credential {identity.identity_id}": PER_ACCOUNT}
        await count_attempt(self._database, limits, now=self._clock.now())
        if not await self._passwords.verify(change.current, user.password_hash):
            raise InvalidInput(FieldFault("current", "is not your password"))
        async with self._database.transaction(identity.tenant_id) as connection:
            await forget_attempt(connection, limits)
        return await self._passwords.hash(change.new)

    async def create(self, work: UnitOfWork, new: NewUserData) -> User:
        """Create a user. Raises OperationRefused if the name is in use."""
        user = User(uuid4(), work.actor.tenant_id, new.name, new.password_hash, new.roles, created_at=work.at)
        if not await identities.insert_user(work.connection, user, work.at):
            raise OperationRefused("user-exists", f"The user name '{user.name}' is in use: choose another.")
        work.audit("user.create", user.user_id, after=_to_document(user))
        return user

    async def change(self, work: UnitOfWork, user_id: UUID, change: UserChange, *, caller: Identity) -> User:
        """Change a user; keys and sessions follow at once.

        Raises NotFound, InvalidInput, or OperationRefused if no administrator would be left.
        """
        before, others = await _lock_user(work, user_id)
        after = replace(
            before,
            roles=before.roles if change.roles is None else change.roles,
            disabled=before.disabled if change.disabled is None else change.disabled,
            password_hash=change.password_hash or before.password_hash,
        )
        _check_issuer(before, change)
        _require_admin([*others, after])
        saved = await identities.update_user(work.connection, after)
        await self._update_credentials(work, saved, new_password=change.password_hash is not None, caller=caller)
        work.audit("user.edit", user_id, before=_to_document(before), after=_to_document(saved))
        return saved

    async def change_own_password(self, work: UnitOfWork, identity: Identity, password_hash: str) -> None:
        """Set the caller's password and end the caller's other sessions. Raises NotFound."""
        user, _ = await _lock_user(work, identity.user_id)
        saved = await identities.update_user(work.connection, replace(user, password_hash=password_hash))
        await self._update_credentials(work, saved, new_password=True, caller=identity)
        work.audit("user.password", identity.user_id)

    async def get(self, identity: Identity, user_id: UUID) -> User:
        """Return a user. Raises NotFound."""
        async with self._database.read(identity.tenant_id) as database:
            return await identities.get_user(database, identity.tenant_id, user_id)

    async def list_page(self, identity: Identity, request: PageRequest) -> Page[User]:
        """Return a page of users."""
        async with self._database.read(identity.tenant_id) as database:
            return await identities.list_users(database, identity.tenant_id, request)

    async def _update_credentials(self, work: UnitOfWork, user: User, *, new_password: bool, caller: Identity) -> None:
        ended: list[Credential] = []
        if user.disabled or new_password:
            keep = None if user.disabled else caller.identity_id
            ended = await identities.revoke_credentials(
                work.connection, user, work.at, include_keys=user.disabled, keep=keep
            )
        changed = await identities.restrict_credentials(work.connection, user)
        work.emit(*(each.to_event() for each in [*ended, *changed]))
        if user.issuer is not None:
            work.emit(to_identity_event(user))
        ids = [user.user_id, *(each.identity_id for each in [*ended, *changed])]
        work.on_commit(lambda: self._authenticator.forget(ids))


async def _lock_user(work: UnitOfWork, user_id: UUID) -> tuple[User, list[User]]:
    """Lock all users of the tenant; return the one with this id, and the others. Raises NotFound."""
    users = {user.user_id: user for user in await identities.lock_users(work.connection, work.actor.tenant_id)}
    user = users.pop(user_id, None)
    if user is None:
        raise NotFound("user")
    return user, list(users.values())


def _require_admin(users: list[User]) -> None:
    # One with a password stored here: the identity provider may be unavailable or withdraw the role.
    if not any("admin" in user.roles and not user.disabled and user.issuer is None for user in users):
        raise OperationRefused("last-admin", "This is the last administrator who can log in: create another one first.")


def _check_issuer(user: User, change: UserChange) -> None:
    if user.issuer is not None:
        given = {"roles": change.roles, "password": change.password_hash}
        faults = [
            FieldFault(name, "is managed by the identity provider") for name, each in given.items() if each is not None
        ]
        if faults:
            raise InvalidInput(*faults)


def _check_password(password: str | None) -> None:
    if password is not None and len(password) < MIN_PASSWORD:
        raise InvalidInput(
            FieldFault("password", f"at least {MIN_PASSWORD} characters; length is what makes a password strong")
        )


def _to_document(user: User) -> dict[str, Any]:
    return {"name": user.name, "roles": list(user.roles), "disabled": user.disabled}
