"""What Sluice's two HTTP APIs have in common: who asks, problem documents, metrics, health.

app = new_api(title="...", service="job-api", health=health, authenticate=store.identity_of)
app.include_router(job_routes(service))
"""

import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import auth, tracing
from shared.auth import Identity, Token
from shared.errors import TransientError
from shared.events.values import Role
from shared.http.problems import TYPE_BASE, Problem
from shared.lifecycle import Health, health_routes
from shared.observe import HTTP_SECONDS, get_logger

Authenticate = Callable[[Token], Awaitable[Identity | None]]
Recognise = Callable[[str], Awaitable[Identity | None]]
"""Who bears a token that is not ours: an identity provider's (`shared.oidc`)."""
SESSION_COOKIE = "sluice_session"
log = get_logger(__name__)

_BEARER, _SESSION = "HTTPBearer", "APIKeyCookie"
_SCHEMES: dict[str, dict[str, str]] = {
    _BEARER: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or a JWT of the identity provider that is configured",
    },
    _SESSION: {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "A session from the login page",
    },
}
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class FieldFault(BaseModel):
    """One field of a request that is wrong."""

    field: str = Field(description="where it is, as a dotted path")
    message: str = Field(description="what is wrong with it, in words")


class ProblemDocument(BaseModel):
    """RFC 9457: what went wrong and what to do."""

    type: str = Field(examples=[TYPE_BASE + "not-found"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no job with this id."])
    instance: str = Field(examples=["/api/v1/jobs/0192f0c1-7b1e-7000-8000-000000000000"])
    errors: list[FieldFault] | None = None


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that may answer with these statuses, beside 401, 403, 422 and 503."""
    body = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}}
    return {status: {"model": ProblemDocument, "content": body} for status in {401, 403, 422, 503, *statuses}}


def new_api(
    *, title: str, service: str, health: Health, authenticate: Authenticate, recognise: Recognise | None = None
) -> FastAPI:
    """Return an application with health routes and problem documents, whose routes know who asks."""
    app = _Api(title=title, version="1", openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None)
    app.state.authenticate = authenticate
    app.state.recognise = recognise
    app.router.routes.extend(health_routes(health))
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(TransientError, _on_transient)
    app.add_exception_handler(Exception, _on_crash)
    app.add_middleware(_Measured, service=service)
    return app


class _Api(FastAPI):
    """Documents both ways to say who asks, wherever that is asked for."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        if self.openapi_schema is None:
            document = super().openapi()
            document.setdefault("components", {})["securitySchemes"] = _SCHEMES
            for methods in document["paths"].values():
                for operation in methods.values():
                    _mend(operation)
        assert self.openapi_schema is not None
        return self.openapi_schema


def _mend(operation: dict[str, Any]) -> None:
    """Say of an operation what the framework leaves out, or says too much of."""
    if "security" in operation:
        operation["security"] = [{_BEARER: []}, {_SESSION: []}]
    for response in operation["responses"].values():
        if "application/problem+json" in response.get("content", {}):
            response["content"].pop("application/json", None)
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path" and parameter["name"].endswith("_id"):
            parameter.setdefault("description", f"which {parameter['name'].removesuffix('_id')}: its id")


class _Somebody(SecurityBase):
    """The dependency of an operation that needs somebody: one for all of it, as each costs every request its time."""

    def __init__(self, roles: tuple[Role, ...] | None) -> None:
        self.model = HTTPBearer()
        self.scheme_name = _BEARER
        self._roles = roles

    async def __call__(self, request: Request) -> Identity:
        """Return who asks. Raises Problem 401 or 403."""
        who = await identity(request)
        if self._roles is not None and not who.may(*self._roles):
            raise Problem(
                403, "access-denied", f"This needs the role {' or '.join(self._roles)}; ask an administrator."
            )
        return who


async def identity(request: Request) -> Identity:
    """Return who asks. Raises Problem 401, and 403 where a browser's session is used from another site."""
    bearer = _bearer_of(request)
    text = bearer or request.cookies.get(SESSION_COOKIE, "")
    if (token := auth.parse_token(text)) is not None:
        found = await request.app.state.authenticate(token)
    else:
        recognise = request.app.state.recognise if bearer else None
        found = await recognise(text) if recognise else None
    if found is None:
        raise Problem(
            401,
            "unauthenticated",
            "Send a valid API key as 'Authorization: Bearer ...', or log in.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    if bearer is None and request.method not in _SAFE and not same_origin(request):
        raise Problem(403, "cross-site", "This session may only be used from Sluice's own pages.")
    assert isinstance(found, Identity)
    return found


def _bearer_of(request: Request) -> str | None:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


CurrentIdentity = Annotated[Identity, Depends(_Somebody(None))]


def require(*roles: Role) -> Any:
    """Return the dependency of an operation that needs one of the roles; admins may all."""
    return Depends(_Somebody(roles))


def same_origin(request: Request) -> bool:
    """Return whether a browser says that a request comes from our own pages; without a word it is not believed."""
    if (site := request.headers.get("sec-fetch-site")) is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == request.headers.get("host")


def not_found(what: str) -> Problem:
    """Return the one answer for what does not exist and what is another tenant's (U3)."""
    return Problem(404, "not-found", f"There is no {what} with this id.")


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response(request.url.path)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = [{"field": _path(each["loc"]), "message": str(each["msg"])} for each in error.errors()]
    names = ", ".join(sorted({each["field"] for each in fields}))
    return Problem(422, "invalid", f"Not accepted: {names}. See errors.", fields).response(request.url.path)


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(step) for step in location[1:]) or str(location[0])


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _of_framework(request, error).response(request.url.path)


def _of_framework(request: Request, error: HTTPException) -> Problem:
    match error.status_code:
        case 400:
            unread = {"field": "body", "message": "cannot be read: send JSON in UTF-8"}
            return Problem(422, "invalid", "Not accepted: body. See errors.", [unread])
        case 405:
            # The framework names the methods of one route only; an address may have several.
            allowed = [method for method in _METHODS if _takes(request, method)]
            words = f"This address takes {', '.join(allowed)}."
            return Problem(405, "method-not-allowed", words, headers={"Allow": ", ".join(allowed)})
        case _:
            return Problem(404, "not-found", "There is nothing at this address.")


def _takes(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)


async def _on_transient(request: Request, error: Exception) -> Response:
    log.warning("answered 503", error=str(error))
    return Problem(
        503, "unavailable", "A part that Sluice needs is away; try again shortly.", headers={"Retry-After": "5"}
    ).response(request.url.path)


async def _on_crash(request: Request, error: Exception) -> Response:
    log.error("unforeseen error", path=request.url.path, exc_info=error)
    return Problem(500, "internal", "Something went wrong on our side; it has been logged.").response(request.url.path)


class _Measured:
    """Times every request under its route's template, so that ids never become labels."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        parent = dict(scope["headers"]).get(b"traceparent", b"").decode("ascii", "replace")
        try:
            with tracing.continue_trace(parent or None):
                await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            HTTP_SECONDS.labels(self._service, scope["method"], route, str(status)).observe(time.perf_counter() - began)
