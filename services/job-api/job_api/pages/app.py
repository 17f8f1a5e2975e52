"""The application of the pages: routes, a strict content policy, and errors as pages."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from importlib.resources import files

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from job_api.api.problems import problem_of
from job_api.pages.account.login import logging_in, logging_out, login_form
from job_api.pages.account.preferences import Preferences
from job_api.pages.account.routes import people_pages
from job_api.pages.account.users import Users as UserPages
from job_api.pages.jobs.editor import Editor
from job_api.pages.jobs.notices import Surroundings
from job_api.pages.jobs.routes import job_pages
from job_api.pages.kit.rendering import ANYBODY, failed, recognised, to_login, visitor
from job_api.pages.runs.routes import log_pages
from job_api.roles import READERS
from job_api.service import Access, Certificates, Door, Estimates, Jobs, Users
from shared.clock import Clock
from shared.errors import SluiceError, TransientError
from shared.http.problems import Problem, ProblemType
from shared.observe import get_logger

log = get_logger(__name__)
Page = Callable[[Request], Awaitable[Response]]
HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class Pages(Mount):
    """Everything but the API, which answers for its own unknown addresses and methods."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Leave what is the API's."""
        path: str = scope.get("path", "")
        return (Match.NONE, {}) if path.startswith("/api/") else super().matches(scope)


def pages_app(
    *,
    access: Access,
    door: Door,
    jobs: Jobs,
    certificates: Certificates,
    users: Users,
    estimates: Estimates,
    history: httpx.AsyncClient | None,
    clock: Clock,
) -> Starlette:
    """Return the application of the pages."""
    around = Surroundings(certificates, history, clock)
    editor = Editor(access, jobs, certificates, estimates, history, clock)

    def page(path: str, handler: Page, method: str = "GET") -> Route:
        return Route(path, handler, methods=[method])

    return Starlette(
        routes=[
            page("/", partial(_home, access)),
            page("/login", login_form),
            page("/login", partial(logging_in, door), "POST"),
            page("/logout", partial(logging_out, access), "POST"),
            *job_pages(access, jobs, around, editor, clock),
            *people_pages(Preferences(access, certificates, users, clock), UserPages(access, users)),
            *log_pages(access, history, clock),
            Mount("/static", _Static(directory=str(files("job_api.pages") / "static"))),
            Route("/{path:path}", partial(_nothing, access), methods=["GET"]),
        ],
        exception_handlers={
            Problem: _on_error,
            SluiceError: _on_error,
            HTTPException: _on_error,
            Exception: _on_crash,
        },
        middleware=[Middleware(_StrictHeaders), Middleware(GZipMiddleware, minimum_size=1000, compresslevel=1)],
    )


async def _home(access: Access, request: Request) -> Response:
    who = await visitor(access, request, *ANYBODY)
    return RedirectResponse("/jobs" if who.may(*READERS) else "/runs", 303)


async def _nothing(access: Access, request: Request) -> Response:
    # Whoever is known keeps the bar on top, also where the database cannot say so just now.
    with suppress(TransientError):
        await recognised(access, request)
    raise Problem(ProblemType.NOT_FOUND, "There is nothing at this address.")


async def _on_error(request: Request, error: Exception) -> Response:
    match error:
        case Problem(type=ProblemType.UNAUTHENTICATED):
            return to_login(request)
        case Problem():
            problem = error
        case TransientError():
            log.warning("answered 503", error=str(error))
            problem = Problem(
                ProblemType.UNAVAILABLE, "A part that Sluice needs is away.", headers={"Retry-After": "5"}
            )
        case HTTPException():
            missing = error.status_code != ProblemType.METHOD_NOT_ALLOWED.status
            kind = ProblemType.NOT_FOUND if missing else ProblemType.METHOD_NOT_ALLOWED
            problem = Problem(kind, "There is nothing at this address.")
        case SluiceError() if (found := problem_of(error)) is not None:
            problem = found
        case _:
            raise error
    return failed(request, problem)


async def _on_crash(request: Request, error: Exception) -> Response:
    log.error("unforeseen error", path=request.url.path, exc_info=error)
    page = failed(request, Problem(ProblemType.INTERNAL, "Something went wrong on our side; it has been logged."))
    # What a crash answers goes past the middleware that does this for all other pages.
    page.headers.update({name.decode(): value.decode() for name, value in HEADERS})
    return page


class _Static(StaticFiles):
    """Files that browsers keep for good when asked for by their content's hash (see `rendering.asset`)."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        kept = b"v=" in scope["query_string"]
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if kept else "no-cache"
        return answer


class _StrictHeaders:
    """Puts the content policy on every page: nothing from elsewhere, nothing inline, in nobody's frame."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        await self._app(scope, receive, strict if scope["type"] == "http" else send)
