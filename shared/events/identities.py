"""`sluice.identities`: who may ask, as far as other services must know it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared.events.values import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySaved:
    """An API key or a session; `secret_hash` is the SHA-256 of its secret half, hex, never the secret."""

    identity_id: UUID
    kind: Literal["api-key", "session"]
    tenant_id: UUID
    user_id: UUID
    name: str
    roles: tuple[Role, ...]
    secret_hash: str
    expires_at: datetime | None
    revoked: bool
    version: int
