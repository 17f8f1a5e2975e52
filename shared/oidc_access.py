"""Whose tokens are taken beside our own: an OpenID Connect issuer, and what its claims mean here."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from shared.events.values import Role

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcAccess:
    """An issuer, the audiences that its tokens may be for, and where roles and tenant stand in them.

    `roles` and `tenants` translate claim values; where one is empty, values are our roles' names, our tenants' ids.
    """

    issuer: str
    audiences: tuple[str, ...]
    roles_claim: str
    roles: Mapping[str, Role]
    tenant_claim: str
    tenants: Mapping[str, UUID]
    leeway: timedelta
    ca_file: str | None


def is_safe_url(url: str) -> bool:
    """Return whether keys and codes may be fetched from an address: over TLS, or from this very machine."""
    try:
        found = urlsplit(url)
        return bool(found.hostname) and (
            found.scheme == "https" or (found.scheme == "http" and found.hostname in _LOOPBACK)
        )
    except ValueError:
        return False
