"""Which OpenID Connect issuer's tokens are accepted, and what their claims mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

from shared.events.values import Role

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcAccess:
    """An issuer, the accepted audiences, and the claims that hold roles and tenant.

    `roles` and `tenants` map claim values to Sluice's; where one is empty, the values are role names or tenant ids.
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
    """Return whether keys and codes may be fetched from a URL: over TLS, or from this machine."""
    try:
        found = urlsplit(url)
        return bool(found.hostname) and (
            found.scheme == "https" or (found.scheme == "http" and found.hostname in _LOOPBACK)
        )
    except ValueError:
        return False
