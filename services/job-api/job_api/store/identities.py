"""Tenants, users, and credentials (API keys and sessions)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from job_api.domain.names import fold_name
from job_api.errors import NotFound
from job_api.store.database import SQL, select_fields
from job_api.store.lists import KEYS, USERS
from shared.auth import Identity
from shared.events import IdentitySaved
from shared.events.values import Role
from shared.http.lists import Page, PageRequest
from shared.postgres import Connection, Record

KeyState = Literal["active", "expired", "revoked"]


DOWNLOADS = ("artifact.download", "artifact.download-archive", "artifact.link")
"""The actions of the audit trail with which files are fetched."""


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer organisation; `source_tenant` is the number that its rows bear in the source.

    `external_id` is what Sluice shows when it assumes one of the tenant's roles (rule D1).
    """

    tenant_id: UUID
    name: str
    source_tenant: int
    media_types: tuple[str, ...]
    external_id: UUID = field(default_factory=uuid4)


@dataclass(frozen=True, slots=True)
class User:
    """A person who may log in, unless disabled."""

    user_id: UUID
    tenant_id: UUID
    name: str
    password_hash: str
    roles: tuple[Role, ...]
    disabled: bool = False
    version: int = 1
    created_at: datetime | None = None
    issuer: str | None = None
    """The identity provider that authenticates the user and assigns the roles; None: a password stored here."""

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

    def get_state(self, now: datetime) -> KeyState:
        """Return the state at an instant, by the same rule as the query `keys`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def to_event(self) -> IdentitySaved:
        """Return the event that publishes this version to the other services."""
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
        """Return the identity of a caller who presents this credential."""
        return Identity(self.identity_id, self.tenant_id, self.user_id, self.name, frozenset(self.roles))


async def get_tenant(database: Connection, tenant_id: UUID) -> Tenant:
    """Return a tenant. Raises NotFound."""
    return _to_tenant(_require(await database.fetchrow(SQL["tenant"], tenant_id), "tenant"))


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """What a new tenant has done so far: uploaded a certificate, fetched a file."""

    has_certificate: bool
    has_download: bool


async def find_first_steps(database: Connection, tenant_id: UUID) -> FirstSteps:
    """Return what a tenant has ever done."""
    row = _require(await database.fetchrow(SQL["first_steps"], tenant_id, DOWNLOADS), "tenant")
    return FirstSteps(**select_fields(row, FirstSteps))


async def lock_tenant(database: Connection, tenant_id: UUID) -> Tenant:
    """Return a tenant, locked until the transaction ends. Raises NotFound."""
    return _to_tenant(_require(await database.fetchrow(SQL["lock_tenant"], tenant_id), "tenant"))


async def find_tenant(database: Connection, name: str) -> Tenant | None:
    """Return the tenant with a name, compared as in `job_api.domain.names`, or None."""
    row = await database.fetchrow(SQL["tenant_by_name"], fold_name(name))
    return _to_tenant(row) if row is not None else None


async def find_tenant_by_source_number(database: Connection, number: int) -> Tenant | None:
    """Return the tenant whose rows bear a number in the source, or None."""
    row = await database.fetchrow(SQL["tenant_by_source_number"], number)
    return _to_tenant(row) if row is not None else None


async def insert_tenant(database: Connection, tenant: Tenant, at: datetime) -> None:
    """Store a new tenant."""
    await database.execute(
        *SQL.bind(
            "insert_tenant",
            tenant_id=tenant.tenant_id,
            name=tenant.name,
            name_key=fold_name(tenant.name),
            source_tenant=tenant.source_tenant,
            media_types=tenant.media_types,
            external_id=tenant.external_id,
            created_at=at,
        )
    )


async def update_media_types(database: Connection, tenant: Tenant) -> None:
    """Store a tenant's media types; its row must be locked."""
    await database.execute(SQL["update_media_types"], tenant.tenant_id, tenant.media_types)


async def get_user(database: Connection, tenant_id: UUID, user_id: UUID) -> User:
    """Return a user. Raises NotFound."""
    return _to_user(_require(await database.fetchrow(SQL["user"], tenant_id, user_id), "user"))


async def find_users(database: Connection, name_key: str, tenant_key: str | None) -> list[User]:
    """Return up to two users who log in with a password and have this name, in the named tenant or in any."""
    rows = await database.fetch(SQL["users_by_name"], name_key, tenant_key)
    return [
        User(row["user_id"], row["tenant_id"], row["name"], row["password_hash"], tuple(row["roles"])) for row in rows
    ]


async def list_users(database: Connection, tenant_id: UUID, request: PageRequest) -> Page[User]:
    """Return a page of a tenant's users."""
    return (await USERS.fetch(database, tenant_id, request)).map(_to_user)


async def lock_users(database: Connection, tenant_id: UUID) -> list[User]:
    """Return all users of a tenant, locked until the transaction ends."""
    return [_to_user(row) for row in await database.fetch(SQL["lock_users"], tenant_id)]


async def insert_user(database: Connection, user: User, at: datetime) -> bool:
    """Store a new user; return False if the name is in use."""
    statement = SQL.bind(
        "insert_user",
        user_id=user.user_id,
        tenant_id=user.tenant_id,
        name=user.name,
        name_key=fold_name(user.name),
        password_hash=user.password_hash,
        roles=user.roles,
        created_at=at,
        issuer=user.issuer,
    )
    return await database.fetchval(*statement) is not None


async def update_user(database: Connection, user: User) -> User:
    """Store a user's password hash, roles and disabled flag; return the next version. Raises NotFound."""
    row = await database.fetchrow(
        SQL["update_user"], user.tenant_id, user.user_id, user.password_hash, user.roles, user.disabled
    )
    return _to_user(_require(row, "user"))


async def insert_credential(database: Connection, credential: Credential) -> None:
    """Store a new API key or session."""
    statement = SQL.bind(
        "insert_identity",
        identity_id=credential.identity_id,
        tenant_id=credential.tenant_id,
        user_id=credential.user_id,
        kind=credential.kind,
        name=credential.name,
        roles=credential.roles,
        secret_hash=credential.secret_hash,
        created_at=credential.created_at,
        expires_at=credential.expires_at,
    )
    await database.execute(*statement)


async def find_credential(database: Connection, identity_id: UUID) -> Credential | None:
    """Return an API key or session, or None."""
    row = await database.fetchrow(SQL["identity"], identity_id)
    return _to_credential(row) if row is not None else None


async def list_keys(database: Connection, request: PageRequest, *, tenant_id: UUID, now: datetime) -> Page[Credential]:
    """Return a page of a tenant's API keys, filtered and sorted by their states at `now`."""
    return (await KEYS.fetch(database, tenant_id, request, now)).map(_to_credential)


async def revoke_credential(
    database: Connection, identity_id: UUID, *, tenant_id: UUID, at: datetime
) -> Credential | None:
    """Revoke an API key or session; return its new version, or None if there was nothing to revoke."""
    row = await database.fetchrow(SQL["revoke_identity"], tenant_id, identity_id, at)
    return _to_credential(row) if row is not None else None


async def revoke_credentials(
    database: Connection, user: User, at: datetime, *, include_keys: bool, keep: UUID | None
) -> list[Credential]:
    """Revoke a user's sessions, and API keys if asked, except `keep`; return those that were revoked."""
    rows = await database.fetch(SQL["revoke_identities_of_user"], user.tenant_id, user.user_id, at, include_keys, keep)
    return [_to_credential(row) for row in rows]


async def restrict_credentials(database: Connection, user: User) -> list[Credential]:
    """Give a user's sessions exactly, and the API keys at most, the user's roles; return those that changed."""
    rows = await database.fetch(SQL["restrict_identities"], user.tenant_id, user.user_id, user.roles)
    return [_to_credential(row) for row in rows]


def _require(row: Record | None, what: str) -> Record:
    if row is None:
        raise NotFound(what)
    return row


def _to_tenant(row: Record) -> Tenant:
    return Tenant(row["tenant_id"], row["name"], row["source_tenant"], tuple(row["media_types"]), row["external_id"])


def _to_user(row: Record) -> User:
    return User(**select_fields(row, User) | {"roles": tuple(row["roles"])})


def _to_credential(row: Record) -> Credential:
    return Credential(**select_fields(row, Credential) | {"roles": tuple(row["roles"])})
