"""Bearer tokens and who is behind them: `slc_<id>_<secret>`, of which only a hash of the secret is ever stored."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.values import Role

_PREFIX = "slc"


@dataclass(frozen=True, slots=True)
class Identity:
    """Somebody who asks: a user's session or an API key, within one tenant."""

    identity_id: UUID
    tenant_id: UUID
    user_id: UUID
    name: str
    roles: frozenset[Role]

    def may(self, *roles: Role) -> bool:
        """Return whether one of the roles is held; an admin may whatever the others may."""
        return "admin" in self.roles or not self.roles.isdisjoint(roles)


@dataclass(frozen=True, slots=True)
class Token:
    """A token's two halves, as its bearer sends them."""

    identity_id: UUID
    secret: str

    def __str__(self) -> str:
        """Return the token as it is given to its owner, once."""
        return f"{_PREFIX}_{self.identity_id.hex}_{self.secret}"

    def __repr__(self) -> str:
        """Keep the secret out of logs and tracebacks."""
        return f"Token({self.identity_id})"


def create_token(identity_id: UUID) -> Token:
    """Return a new token with 256 random bits; keep `hash_secret(token.secret)`, never the token."""
    return Token(identity_id, secrets.token_urlsafe(32))


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret, hex; a plain hash suffices for 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse_token(text: str) -> Token | None:
    """Return the token in a text, or None when it has not the form of one."""
    prefix, _, rest = text.partition("_")
    number, _, secret = rest.partition("_")
    try:
        return Token(UUID(number), secret) if prefix == _PREFIX and secret and number.isalnum() else None
    except ValueError:
        return None


def is_genuine(token: Token, stored_hash: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(hash_secret(token.secret), stored_hash)


def is_live(*, expires_at: datetime | None, revoked: bool, now: datetime) -> bool:
    """Return whether an identity is still good."""
    return not revoked and (expires_at is None or now < expires_at)
