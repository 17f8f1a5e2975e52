"""`sluice.identities`: API keys, sessions and users of identity providers, as other services need them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.events.values import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySaved:
    """The complete state of an API key or a session after a change."""

    identity_id: UUID
    """The API key or session; also the message's key."""
    kind: Literal["api-key", "session"]
    """What the identity is; `session` also stands for a user of an identity provider, under the user's own id."""
    tenant_id: UUID
    """The tenant that the identity belongs to."""
    user_id: UUID
    """The user who owns it."""
    name: str
    """The API key's name, or the name of the session's user."""
    roles: tuple[Role, ...]
    """What the identity may do."""
    secret_hash: str
    """SHA-256 of the secret half of the token, 64 hexadecimal digits; never the secret."""
    expires_at: datetime | None
    """When the identity stops being valid; null when it does not expire."""
    revoked: bool
    """Whether the identity has been revoked; a revoked identity authenticates nobody."""
    version: int
    """Rises with each change; a lower version never replaces a higher one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityDeleted:
    """The identity was removed: a session that ended, or one removed with its tenant. Followed by a tombstone later."""

    identity_id: UUID
    """The API key or session; also the message's key."""
    tenant_id: UUID
    """The tenant that the identity belonged to."""
    version: int
    """Higher than every version of the identity."""
    deleted_at: datetime
    """When the identity was removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityTombstone:
    """The identity was removed long ago: a message without a value, so that compaction removes its key."""

    identity_id: UUID
    """The API key or session: the message's key."""
