"""Bearer tokens of an OpenID Connect issuer: their verification, and the identity and roles that they stand for."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args
from uuid import UUID, uuid5

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import extract_compact
from joserfc.jwt import JWTClaimsRegistry

from shared.auth import Identity
from shared.clock import Clock
from shared.errors import SluiceError
from shared.events.values import Role
from shared.http.problems import Problem, ProblemType
from shared.http.untrusted import decode_base64_json
from shared.oidc_access import OidcAccess
from shared.oidc_issuer import OidcIssuer, PublicKey

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Asymmetric signatures only: not `none`, and no HMAC, whose secret could be the public key (RFC 8725)."""
_USER_NAMESPACE = UUID("9f6a6b52-6f0c-4f3e-8a57-1d6a5f0b7c21")
_MAX_SUBJECT = 255
_ROLES: tuple[Role, ...] = get_args(Role)


class InvalidToken(SluiceError):
    """A token is invalid; the message says why and never repeats it."""


class UnknownTenant(SluiceError):
    """A valid token names no tenant of this Sluice."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A user of an issuer, in one of Sluice's tenants."""

    issuer: str
    subject: str
    tenant_id: UUID
    roles: frozenset[Role]

    @property
    def user_id(self) -> UUID:
        """The user's id in Sluice, derived from tenant, issuer and subject so that every service knows it."""
        return uuid5(_USER_NAMESPACE, f"{self.tenant_id} {self.issuer} {self.subject}")

    def to_identity(self) -> Identity:
        """Return the caller's identity."""
        return Identity(self.user_id, self.tenant_id, self.user_id, self.subject, self.roles)


class TokenVerifier:
    """Verifies an issuer's tokens."""

    def __init__(self, issuer: OidcIssuer, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock

    async def verify(self, token: str) -> Subject:
        """Return the subject of an access token. Raises InvalidToken, UnknownTenant or IssuerUnavailable."""
        return to_subject(await self.verify_claims(token, self._issuer.access.audiences), self._issuer.access)

    async def verify_claims(self, token: str, audiences: tuple[str, ...]) -> dict[str, Any]:
        """Return a token's claims after checking its signature, issuer, audience and validity (RFC 7519).

        Raises InvalidToken or IssuerUnavailable.
        """
        try:
            # The library reads JSON of any depth.
            for segment in token.split(".", 2)[:2]:
                decode_base64_json(segment)
            header = extract_compact(token.encode("ascii")).protected
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidToken("it is not a signed token") from error
        name = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(name, str | None):
            raise InvalidToken("its signature algorithm is not accepted")
        found = await self._decode(token, name)
        access = self._issuer.access
        expected = JWTClaimsRegistry(
            now=int(self._clock.now().timestamp()),
            leeway=int(access.leeway.total_seconds()),
            iss={"essential": True, "value": access.issuer},
            aud={"essential": True, "values": list(audiences)},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            expected.validate(found)
        except (JoseError, ValueError, TypeError, OverflowError) as error:
            raise _to_invalid_token(error) from error
        return found

    async def _decode(self, token: str, key_id: str | None) -> dict[str, Any]:
        """Return the claims of a token that one of the issuer's keys has signed. Raises as `verify_claims` does."""
        keys = await self._issuer.find_keys(key_id)
        if not keys:
            raise InvalidToken("its key is unknown to the issuer")
        try:
            return _decode_with_any(token, keys)
        except InvalidToken:
            if self._issuer.has_key(key_id):
                raise
        newer = await self._issuer.find_newer_keys(key_id, keys)
        return _decode_with_any(token, newer)


def _decode_with_any(token: str, keys: Iterable[PublicKey]) -> dict[str, Any]:
    invalid = InvalidToken("none of the issuer's keys has signed it")
    for key in keys:
        try:
            return jwt.decode(token, key, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError, TypeError, OverflowError) as error:
            invalid = _to_invalid_token(error)
    raise invalid


def _to_invalid_token(error: Exception) -> InvalidToken:
    return InvalidToken(f"{type(error).__name__}: {getattr(error, 'description', '')}")


def to_subject(claims: Mapping[str, Any], access: OidcAccess) -> Subject:
    """Return the subject that verified claims describe. Raises InvalidToken or UnknownTenant."""
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= _MAX_SUBJECT or not subject.isprintable():
        raise InvalidToken("its subject is not printable text of 1 to 255 characters")
    tenant = _parse_tenant(find_claim(claims, access.tenant_claim), access.tenants)
    return Subject(access.issuer, subject, tenant, _parse_roles(find_claim(claims, access.roles_claim), access.roles))


def find_claim(claims: Mapping[str, Any], path: str) -> object:
    """Return a claim by its full name, or else by its path in nested objects, separated by dots; None without one."""
    if path in claims:
        return claims[path]
    found: object = claims
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _parse_roles(value: object, meanings: Mapping[str, Role]) -> frozenset[Role]:
    values = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    known: Mapping[str, Role] = meanings or {role: role for role in _ROLES}
    return frozenset(known[each] for each in values if isinstance(each, str) and each in known)


def _parse_tenant(value: object, meanings: Mapping[str, UUID]) -> UUID:
    if isinstance(value, str):
        if meanings and value in meanings:
            return meanings[value]
        with suppress(ValueError):
            if not meanings:
                return UUID(value)
    raise UnknownTenant


OidcAuthenticator = Callable[[str], Awaitable[Identity | None]]
"""Returns the identity behind an issuer's token, or None for an invalid token or a disabled user."""


def make_oidc_authenticator(
    verifier: TokenVerifier, find_identity: Callable[[Subject], Awaitable[Identity | None]]
) -> OidcAuthenticator:
    """Return an authenticator that verifies tokens and looks their subjects up.

    `find_identity` returns None for a disabled user and may raise UnknownTenant. The authenticator raises Problem
    `unknown-tenant` for a token that names none of our tenants, and IssuerUnavailable.
    """

    async def authenticate(token: str) -> Identity | None:
        try:
            return await find_identity(await verifier.verify(token))
        except InvalidToken:
            return None
        except UnknownTenant:
            detail = "Your token names no tenant of this Sluice; ask the administrator who set up single sign-on."
            raise Problem(ProblemType.UNKNOWN_TENANT, detail) from None

    return authenticate
