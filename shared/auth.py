"""Identities and their bearer tokens, `slc_<id>_<secret>`; only a hash of the secret is ever stored."""

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
    """The authenticated caller: a session, an API key or an OpenID Connect subject, in one tenant."""

    identity_id: UUID
    tenant_id: UUID
    user_id: UUID
    name: str
    roles: frozenset[Role]

    def may(self, *roles: Role) -> bool:
        """Return whether the identity has one of the roles; an admin has them all."""
        return "admin" in self.roles or not self.roles.isdisjoint(roles)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token: the identity's id and its secret."""

    identity_id: UUID
    secret: str

    def __str__(self) -> str:
        """Return the token's text, which its owner is shown once."""
        return f"{_PREFIX}_{self.identity_id.hex}_{self.secret}"

    def __repr__(self) -> str:
        """Return a form without the secret, for logs and tracebacks."""
        return f"Token({self.identity_id})"


def create_token(identity_id: UUID) -> Token:
    """Return a new token with 256 random bits; store `hash_secret(token.secret)`, never the token."""
    return Token(identity_id, secrets.token_urlsafe(32))


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret in hex; 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()


def parse_token(text: str) -> Token | None:
    """Return the token that a text holds, or None if it is malformed."""
    prefix, _, rest = text.partition("_")
    number, _, secret = rest.partition("_")
    try:
        return Token(UUID(number), secret) if prefix == _PREFIX and secret and number.isalnum() else None
    except ValueError:
        return None


def is_genuine(token: Token, stored_hash: str) -> bool:
    """Return whether a token's secret has the stored hash; compares in constant time."""
    return hmac.compare_digest(hash_secret(token.secret), stored_hash)


def is_live(*, expires_at: datetime | None, revoked: bool, now: datetime) -> bool:
    """Return whether an identity is neither revoked nor expired; `expires_at` itself is too late."""
    return not revoked and (expires_at is None or now < expires_at)
