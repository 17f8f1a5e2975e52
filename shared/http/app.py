"""The application of an HTTP service: health routes, middleware, problem documents and the OpenAPI document.

app = create_app(title="Sluice history", service="history", health=health, authenticate=authenticator, services=[runs])
add_routes(app, runs.router)
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import tracing
from shared.clock import Clock, SystemClock
from shared.errors import SluiceError, TransientError
from shared.http.admission import AdmissionMiddleware
from shared.http.bodies import BodyGate, BodyRefused
from shared.http.headers import SecurityHeaders
from shared.http.identity import Authenticate, AuthenticateExternal
from shared.http.limits import DEFAULT_LIMITS, HttpLimits, RequestRates
from shared.http.openapi import LICENSE, SERVERS, complete_document
from shared.http.places import Places
from shared.http.problems import FieldError, Problem, ProblemType, invalid_request
from shared.http.refusals import OF_APPLICATIONS, count_refusal
from shared.lifecycle import Health, health_routes
from shared.observe import HTTP_SECONDS, get_logger

RETRY_SECONDS = 5
log = get_logger(__name__)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def create_app(
    *,
    title: str,
    service: str,
    health: Health,
    authenticate: Authenticate,
    authenticate_external: AuthenticateExternal | None = None,
    services: Iterable[object] = (),
    tags: Mapping[str, str] | None = None,
    schemas: Sequence[type[BaseModel]] = (),
    openapi_url: str = "/api/v1/openapi.json",
    limits: HttpLimits = DEFAULT_LIMITS,
    clock: Clock | None = None,
) -> FastAPI:
    """Return an application whose operations know their caller and answer errors with problem documents.

    `services` are what routes get from `service_of`, `tags` the document's tags with their descriptions, `schemas`
    models that the document refers to although no response is of them alone, `openapi_url` the path of the
    document, and `limits` what identities and tenants may ask of it.
    """
    app = _Api(
        title=title,
        version="1",
        license_info=LICENSE,
        servers=SERVERS,
        openapi_tags=[{"name": name, "description": text} for name, text in (tags or {}).items()],
        openapi_url=openapi_url,
        docs_url=None,
        redoc_url=None,
    )
    app.state.schemas = schemas
    app.state.authenticate = authenticate
    app.state.authenticate_external = authenticate_external
    app.state.services = {type(each): each for each in services}
    app.state.query_parameters = {}
    app.router.routes.extend(health_routes(health))
    # An address is right or it is not: clients of an API do not expect a redirect.
    app.router.redirect_slashes = False
    app.add_exception_handler(Problem, _handle_problem)
    app.add_exception_handler(RequestValidationError, _handle_invalid)
    app.add_exception_handler(HTTPException, _handle_http)
    app.add_exception_handler(TransientError, _handle_transient)
    app.add_exception_handler(ClientDisconnect, handle_disconnect)
    app.add_exception_handler(Exception, _handle_unexpected)
    # The last one added runs first.
    app.add_middleware(BodyGate)
    rates, places = RequestRates(limits, clock or SystemClock()), Places(limits.allowances)
    app.add_middleware(AdmissionMiddleware, rates=rates, places=places)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(MetricsMiddleware, service=service)
    return app


def handle_errors(
    app: FastAPI, to_problem: Callable[[SluiceError], Problem | None], *errors: type[SluiceError]
) -> None:
    """Let an application answer a service's domain errors; one that `to_problem` returns None for is unexpected."""

    async def handle(request: Request, error: Exception) -> Response:
        problem = to_problem(error) if isinstance(error, SluiceError) else None
        if problem is None:
            raise error
        return problem.to_response(request.url.path)

    for each in errors:
        app.add_exception_handler(each, handle)


class _Api(FastAPI):
    """An application whose OpenAPI document is complete."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. An unexpected error has been logged and answered, and leaves the connection usable.

        The framework raises it once more after its answer, upon which the server would cut the connection.
        """
        answered = False

        async def send_noting_end(message: Message) -> None:
            nonlocal answered
            await send(message)
            answered = message["type"] == "http.response.body" and not message.get("more_body", False)

        try:
            await super().__call__(scope, receive, send_noting_end)
        except Exception:
            if not answered:
                raise

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document, which is built once."""
        if self.openapi_schema is None:
            complete_document(super().openapi(), self.routes, self.state.schemas)
        assert self.openapi_schema is not None
        return self.openapi_schema


class MetricsMiddleware:
    """Middleware that times each request under its route's template, so that ids do not become labels."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        parent = dict(scope["headers"]).get(b"traceparent", b"").decode("ascii", "replace")
        try:
            with tracing.continue_trace(parent or None):
                await self._app(scope, receive, send_noting_status)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            seconds = time.perf_counter() - started
            if status in OF_APPLICATIONS:
                count_refusal(status)
            HTTP_SECONDS.labels(self._service, scope["method"], route, str(status)).observe(seconds)


async def _handle_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.to_response(request.url.path)


async def _handle_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return invalid_request(*map(_to_field_error, error.errors())).to_response(request.url.path)


def _to_field_error(fault: Mapping[str, Any]) -> FieldError:
    location: Sequence[int | str] = fault["loc"]
    field = ".".join(str(step) for step in location[1:]) or str(location[0])
    if fault["type"] == "extra_forbidden":
        return FieldError(field, "unknown parameter" if location[0] == "query" else "unknown field")
    return FieldError(field, str(fault["msg"]).removeprefix("Value error, "))


async def _handle_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if isinstance(error, BodyRefused):
        return error.problem.to_response(request.url.path)
    return _to_problem(request, error).to_response(request.url.path)


def _to_problem(request: Request, error: HTTPException) -> Problem:
    """Return the problem that an error of the framework is."""
    match error.status_code:
        case 400:
            return invalid_request(FieldError("body", "cannot be parsed: send JSON in UTF-8"))
        case 405:
            # The framework names the methods of one route only; an address may have several.
            allowed = ", ".join(method for method in _METHODS if _is_allowed(request, method))
            detail = f"This address supports {allowed}."
            return Problem(ProblemType.METHOD_NOT_ALLOWED, detail, headers={"Allow": allowed})
        case _:
            return Problem(ProblemType.NOT_FOUND, "There is nothing at this address.")


def _is_allowed(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)


async def _handle_transient(request: Request, error: Exception) -> Response:
    log.warning("component unavailable", path=request.url.path, error=str(error))
    detail = "A required component is temporarily unavailable: retry shortly."
    headers = {"Retry-After": str(RETRY_SECONDS)}
    return Problem(ProblemType.UNAVAILABLE, detail, headers=headers).to_response(request.url.path)


async def handle_disconnect(request: Request, _: Exception) -> Response:
    """Return the answer that nobody receives: the client has left, or sent no more of its request in time."""
    return Problem(ProblemType.TIMED_OUT, "The request did not arrive.").to_response(request.url.path)


async def _handle_unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error", path=request.url.path, exc_info=error)
    return Problem(ProblemType.INTERNAL, "Unexpected error; it has been logged.").to_response(request.url.path)
