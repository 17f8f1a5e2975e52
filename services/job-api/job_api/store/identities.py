"""Tenants, users, API keys and sessions."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from job_api.errors import NotFound
from job_api.store.database import SQL, taken
from job_api.store.listing import Page, Wish
from job_api.store.lists import KEYS, USERS
from shared.auth import Identity
from shared.events import IdentitySaved
from shared.events.values import Role
from shared.postgres import Connection, Record

KeyState = Literal["active", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer organisation, and the number that its rows bear in the source."""

    tenant_id: UUID
    name: str
    source_tenant: int
    media_types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in."""

    user_id: UUID
    tenant_id: UUID
    name: str
    password_hash: str
    roles: tuple[Role, ...]
    disabled: bool = False
    version: int = 1
    created_at: datetime | None = None
    issuer: str | None = None
    """The identity provider that says who this is, and with what roles; None: a password of ours does."""

    def __repr__(self) -> str:
        """Keep the password's hash out of logs and tracebacks."""
        return f"User({self.user_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """An API key or a session, without its secret."""

    identity_id: UUID
    tenant_id: UUID
    user_id: UUID
    kind: Literal["api-key", "session"]
    name: str
    roles: tuple[Role, ...]
    secret_hash: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None = None
    version: int = 1

    def state_at(self, now: datetime) -> KeyState:
        """Return whether it is good to ask with; the query `keys` says the same."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def to_event(self) -> IdentitySaved:
        """Return what tells the other services of this version."""
        return IdentitySaved(
            identity_id=self.identity_id,
            kind=self.kind,
            tenant_id=self.tenant_id,
            user_id=self.user_id,
            name=self.name,
            roles=self.roles,
            secret_hash=self.secret_hash,
            expires_at=self.expires_at,
            revoked=self.revoked_at is not None,
            version=self.version,
        )

    def to_identity(self) -> Identity:
        """Return who asks with it."""
        return Identity(self.identity_id, self.tenant_id, self.user_id, self.name, frozenset(self.roles))


async def tenant(database: Connection, tenant_id: UUID) -> Tenant:
    """Return a tenant. Raises NotFound."""
    row = await database.fetchrow(SQL["tenant"], tenant_id)
    if row is None:
        raise NotFound("tenant")
    return _tenant(row)


async def locked_tenant(database: Connection, tenant_id: UUID) -> Tenant:
    """Lock a tenant until the transaction ends. Raises NotFound."""
    row = await database.fetchrow(SQL["lock_tenant"], tenant_id)
    if row is None:
        raise NotFound("tenant")
    return _tenant(row)


async def choose_media_types(database: Connection, tenant: Tenant) -> None:
    """Keep a tenant's media types; its row must be locked."""
    await database.execute(SQL["choose_media_types"], tenant.tenant_id, tenant.media_types)


async def tenant_named(database: Connection, name: str) -> Tenant | None:
    """Return the tenant of a name, whatever its case."""
    row = await database.fetchrow(SQL["tenant_named"], name)
    return _tenant(row) if row is not None else None


async def insert_tenant(database: Connection, tenant: Tenant, at: datetime) -> None:
    """Keep a new tenant."""
    await database.execute(
        SQL["insert_tenant"], tenant.tenant_id, tenant.name, tenant.source_tenant, tenant.media_types, at
    )


async def insert_user(database: Connection, user: User, at: datetime) -> bool:
    """Keep a new user; return False when the name is taken."""
    made = await database.fetchval(
        SQL["insert_user"], user.user_id, user.tenant_id, user.name, user.password_hash, user.roles, at, user.issuer
    )
    return made is not None


async def users_named(database: Connection, name: str, tenant: str | None) -> list[User]:
    """Return who may be meant by a user name: in the named tenant, or in any."""
    rows = await database.fetch(SQL["users_named"], name, tenant)
    return [
        User(row["user_id"], row["tenant_id"], row["name"], row["password_hash"], tuple(row["roles"])) for row in rows
    ]


async def user(database: Connection, tenant_id: UUID, user_id: UUID) -> User:
    """Return a user. Raises NotFound."""
    row = await database.fetchrow(SQL["user"], tenant_id, user_id)
    if row is None:
        raise NotFound("user")
    return _user(row)


async def users(database: Connection, tenant_id: UUID, wish: Wish) -> Page[User]:
    """Return a page of a tenant's users."""
    return (await USERS.page(database, tenant_id, wish)).of(_user)


async def locked_users(database: Connection, tenant_id: UUID) -> list[User]:
    """Lock and return all users of a tenant."""
    return [_user(row) for row in await database.fetch(SQL["lock_users"], tenant_id)]


async def update_user(database: Connection, user: User) -> User:
    """Keep a user's password, roles and whether they may log in; return the next version."""
    row = await database.fetchrow(
        SQL["update_user"], user.tenant_id, user.user_id, user.password_hash, user.roles, user.disabled
    )
    if row is None:
        raise NotFound("user")
    return _user(row)


async def restrict(database: Connection, user: User) -> list[Credential]:
    """Let a user's sessions have exactly, and keys at most, the user's roles; return those that changed."""
    rows = await database.fetch(SQL["restrict_identities"], user.tenant_id, user.user_id, user.roles)
    return [_credential(row) for row in rows]


async def revoke_all(
    database: Connection, user: User, at: datetime, *, keys: bool, but: UUID | None
) -> list[Credential]:
    """End a user's sessions, and keys too where asked, but one; return those that ended."""
    rows = await database.fetch(SQL["revoke_identities_of"], user.tenant_id, user.user_id, at, keys, but)
    return [_credential(row) for row in rows]


async def insert(database: Connection, new: Credential) -> None:
    """Keep a new key or session."""
    await database.execute(
        SQL["insert_identity"],
        new.identity_id,
        new.tenant_id,
        new.user_id,
        new.kind,
        new.name,
        new.roles,
        new.secret_hash,
        new.created_at,
        new.expires_at,
    )


async def find(database: Connection, identity_id: UUID) -> Credential | None:
    """Return a key or session."""
    row = await database.fetchrow(SQL["identity"], identity_id)
    return _credential(row) if row is not None else None


async def keys(database: Connection, tenant_id: UUID, wish: Wish, now: datetime) -> Page[Credential]:
    """Return a page of a tenant's API keys, which are in their state as of now."""
    return (await KEYS.page(database, tenant_id, wish, now)).of(_credential)


async def revoke(database: Connection, tenant_id: UUID, identity_id: UUID, at: datetime) -> Credential | None:
    """End a key or session; return it as it is now, or None where there was nothing to end."""
    row = await database.fetchrow(SQL["revoke_identity"], tenant_id, identity_id, at)
    return _credential(row) if row is not None else None


def _tenant(row: Record) -> Tenant:
    return Tenant(row["tenant_id"], row["name"], row["source_tenant"], tuple(row["media_types"]))


def _user(row: Record) -> User:
    return User(**taken(row, User) | {"roles": tuple(row["roles"])})


def _credential(row: Record) -> Credential:
    return Credential(**taken(row, Credential) | {"roles": tuple(row["roles"])})
