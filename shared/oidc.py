"""Bearer tokens of an OpenID Connect issuer: who is behind one, and what they may do here."""

from collections.abc import Awaitable, Callable, Mapping
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
from shared.oidc_access import OidcAccess
from shared.oidc_issuer import OidcIssuer

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Signatures with a private key, and no others: neither `none` nor a secret that might be the public key."""
_PEOPLE = UUID("9f6a6b52-6f0c-4f3e-8a57-1d6a5f0b7c21")
_SUBJECT_MOST = 255
_ROLES: tuple[Role, ...] = get_args(Role)


class InvalidToken(SluiceError):
    """A token that is not good, with the reason; the token itself is nowhere repeated."""


class UnknownTenant(SluiceError):
    """A good token of somebody who belongs to no tenant here."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody as an issuer knows them, in one of our tenants."""

    issuer: str
    subject: str
    tenant_id: UUID
    roles: frozenset[Role]

    @property
    def user_id(self) -> UUID:
        """Return the id of this user here: derived, so that every service knows it without being told."""
        return uuid5(_PEOPLE, f"{self.tenant_id} {self.issuer} {self.subject}")

    def to_identity(self) -> Identity:
        """Return who asks."""
        return Identity(self.user_id, self.tenant_id, self.user_id, self.subject, self.roles)


class TokenVerifier:
    """Tokens in, subjects out."""

    def __init__(self, issuer: OidcIssuer, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock

    async def verify(self, token: str) -> Subject:
        """Return who bears a token. Raises InvalidToken, UnknownTenant or IssuerUnavailable."""
        return to_subject(await self.verify_claims(token, self._issuer.access.audiences), self._issuer.access)

    async def verify_claims(self, token: str, audiences: tuple[str, ...]) -> dict[str, Any]:
        """Return what a token says, once it is known to be the issuer's, for one of the audiences, and of this time.

        Raises InvalidToken or IssuerUnavailable.
        """
        try:
            header = extract_compact(token.encode("ascii")).protected
        except (JoseError, ValueError) as error:
            raise InvalidToken("it is not a signed token") from error
        name = header.get("kid")
        if header.get("alg") not in ALGORITHMS or not isinstance(name, str | None):
            raise InvalidToken("it is signed in a way that is not taken")
        key = await self._issuer.find_key(name)
        if key is None:
            raise InvalidToken("its key is not one of the issuer's")
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
            found = jwt.decode(token, key, algorithms=list(ALGORITHMS)).claims
            expected.validate(found)
        except (JoseError, ValueError, TypeError) as error:
            raise InvalidToken(f"{type(error).__name__}: {getattr(error, 'description', '')}") from error
        return found


def to_subject(claims: Mapping[str, Any], access: OidcAccess) -> Subject:
    """Return whom verified claims speak of. Raises InvalidToken or UnknownTenant."""
    subject = claims["sub"]
    if not isinstance(subject, str) or not 1 <= len(subject) <= _SUBJECT_MOST or not subject.isprintable():
        raise InvalidToken("its subject cannot be a name here")
    tenant = _tenant(find_claim(claims, access.tenant_claim), access.tenants)
    return Subject(access.issuer, subject, tenant, _roles(find_claim(claims, access.roles_claim), access.roles))


def find_claim(claims: Mapping[str, Any], path: str) -> object:
    """Return a claim by its whole name, or else by the way into objects that its dots describe; None without one."""
    if path in claims:
        return claims[path]
    found: object = claims
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _roles(value: object, meanings: Mapping[str, Role]) -> frozenset[Role]:
    values = value.split() if isinstance(value, str) else value if isinstance(value, list) else []
    known: Mapping[str, Role] = meanings or {role: role for role in _ROLES}
    return frozenset(known[each] for each in values if isinstance(each, str) and each in known)


def _tenant(value: object, meanings: Mapping[str, UUID]) -> UUID:
    if isinstance(value, str):
        if meanings and value in meanings:
            return meanings[value]
        with suppress(ValueError):
            if not meanings:
                return UUID(value)
    raise UnknownTenant


def make_oidc_authenticator(
    verifier: TokenVerifier, known: Callable[[Subject], Awaitable[Identity | None]]
) -> "OidcAuthenticator":
    """Return what recognises the bearers of an issuer's tokens; `known` says None of who was shut out here.

    It raises Problem 403 where the tenant is unknown, to the token or (UnknownTenant) to `known`.
    """

    async def recognised(token: str) -> Identity | None:
        try:
            return await known(await verifier.verify(token))
        except InvalidToken:
            return None
        except UnknownTenant:
            detail = "Your token names no tenant of this Sluice; ask whoever set up the sign-in."
            raise Problem(ProblemType.UNKNOWN_TENANT, detail) from None

    return recognised


OidcAuthenticator = Callable[[str], Awaitable[Identity | None]]
