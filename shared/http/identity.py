"""Identity: who sends a request, by bearer token or session cookie, and which roles an operation requires."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.types import Scope

from shared import auth
from shared.auth import Identity, Token
from shared.events.values import Role
from shared.http.admission import admit
from shared.http.parameters import check_parameters
from shared.http.problems import Problem, ProblemType
from shared.http.untrusted import find_cookie

Authenticate = Callable[[Token], Awaitable[Identity | None]]
"""Returns the identity that a token of ours belongs to; None for a token that is not valid."""
AuthenticateExternal = Callable[[str], Awaitable[Identity | None]]
"""The same for a token of an identity provider (`shared.oidc`)."""
SESSION_COOKIE = "sluice_session"
BEARER_SCHEME, SESSION_SCHEME = "HTTPBearer", "APIKeyCookie"
_IDENTITY = "sluice.identity"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class RequireIdentity(SecurityBase):
    """The dependency of an operation that needs an authenticated caller, in one of the roles where any are given.

    One dependency does it all, as each costs every request time: it also checks the names of the query parameters,
    so that unknown callers learn nothing about them.
    """

    def __init__(self, roles: tuple[Role, ...] | None) -> None:
        self.model = HTTPBearer()
        self.scheme_name = BEARER_SCHEME
        self._roles = roles

    async def __call__(self, request: Request) -> Identity:
        """Return the caller's identity. Raises Problem 401, 403 or 429, and RequestValidationError."""
        identity = await authenticate(request)
        if self._roles is not None and not identity.may(*self._roles):
            detail = f"This needs the role {' or '.join(self._roles)}; ask an administrator."
            raise Problem(ProblemType.ACCESS_DENIED, detail)
        await check_parameters(request)
        return identity


CurrentIdentity = Annotated[Identity, Depends(RequireIdentity(None))]


def require_roles(*roles: Role) -> Any:
    """Return the dependency of an operation that needs one of the roles; administrators have all of them (rule U2)."""
    return Depends(RequireIdentity(roles))


async def authenticate(request: Request) -> Identity:
    """Return the caller's identity (rule U1), looked up once for each request.

    Raises Problem 401 without a valid token, 403 where a browser's session is used from another site (rule U4), and
    429 to a caller above its limits.
    """
    known: Identity | None = request.scope.get(_IDENTITY)
    if known is None:
        known = await _find_identity(request)
        admit_identity(request.scope, known)
    return known


def admit_identity(scope: Scope, identity: Identity) -> None:
    """Keep the identity of a request's sender, which has been checked. Raises Problem 429 where it asks too much."""
    admit(scope, identity)
    scope[_IDENTITY] = identity


def has_identity(scope: Scope) -> bool:
    """Return whether the sender of a request is known by now."""
    return _IDENTITY in scope


async def _find_identity(request: Request) -> Identity:
    bearer = bearer_of(request)
    text = credential_of(request)
    identity: Identity | None = None
    if (token := auth.parse_token(text)) is not None:
        identity = await request.app.state.authenticate(token)
    elif bearer and request.app.state.authenticate_external is not None:
        identity = await request.app.state.authenticate_external(text)
    if identity is None:
        detail = "Send a valid API key as 'Authorization: Bearer ...', or log in."
        raise Problem(ProblemType.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": "Bearer"})
    if bearer is None and request.method not in _SAFE_METHODS and not is_same_origin(request):
        raise Problem(ProblemType.CROSS_SITE, "This session may only be used from Sluice's own pages.")
    return identity


def bearer_of(request: Request) -> str | None:
    """Return the bearer token that a request carries, not yet checked."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


def credential_of(request: Request) -> str:
    """Return the bearer token, else the session cookie that a request carries, not yet checked; "" without either."""
    return bearer_of(request) or session_of(request)


def session_of(request: Request) -> str:
    """Return the session cookie that a request carries, not yet checked; "" without one."""
    return find_cookie(request.headers.raw, SESSION_COOKIE)


def is_same_origin(request: Request) -> bool:
    """Return whether a browser declares that a request comes from our own pages; without a declaration it does not."""
    if (site := request.headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] == request.headers.get("host")
