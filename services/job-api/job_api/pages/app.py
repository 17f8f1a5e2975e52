"""The application of the pages: routes, security headers, and errors as pages."""

from contextlib import suppress
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from job_api.pages.account.routes import ACCOUNT_ROUTES
from job_api.pages.jobs.routes import JOB_ROUTES
from job_api.pages.kit.identity import load_identity, require_identity
from job_api.pages.kit.reauthentication import read_new_cookies, render_interrupted
from job_api.pages.kit.rendering import render_problem
from job_api.pages.kit.services import PageServices
from job_api.pages.runs.routes import RUN_ROUTES
from job_api.problems import to_problem
from job_api.roles import ANY_ROLE, READERS
from shared.errors import SluiceError, TransientError
from shared.http.app import handle_disconnect
from shared.http.bodies import BodyRefused
from shared.http.problems import Problem, ProblemType
from shared.observe import get_logger

log = get_logger(__name__)
SECURITY_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_NOT_FOUND = "There is no page at this address."
_BAD_IDS = {
    "jobs": "This address names no job: the id in it is incomplete or wrong. Open the job from the list of jobs.",
    "runs": "This address names no run: the id in it is incomplete or wrong. Open the run from History.",
    "artifacts": "This address names no file: the id in it is incomplete or wrong. Open the file from Artifacts.",
}
"""What is said of an address without a page, by its first part."""


class PagesMount(Mount):
    """Every address outside the API, which answers requests for its own unknown addresses and methods."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return no match for addresses of the API."""
        path: str = scope.get("path", "")
        return (Match.NONE, {}) if path.startswith("/api/") else super().matches(scope)


def create_pages_app(services: PageServices) -> Starlette:
    """Return the application of the pages."""
    app = Starlette(
        routes=[
            Route("/", show_home, methods=["GET"]),
            *JOB_ROUTES,
            *RUN_ROUTES,
            *ACCOUNT_ROUTES,
            Mount("/static", _CachedStaticFiles(directory=str(files("job_api.pages") / "static"))),
            Route("/{path:path}", show_not_found, methods=["GET"]),
        ],
        exception_handlers={
            Problem: _handle_error,
            SluiceError: _handle_error,
            HTTPException: _handle_error,
            ClientDisconnect: handle_disconnect,
            Exception: _handle_crash,
        },
        middleware=[
            Middleware(_SecurityHeadersMiddleware),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=1),
        ],
    )
    app.state.services = services
    return app


async def show_home(request: Request) -> Response:
    """Redirect to the first page that the user may see."""
    identity = await require_identity(request, *ANY_ROLE)
    return RedirectResponse("/jobs" if identity.may(*READERS) else "/artifacts", 303)


async def show_not_found(request: Request) -> Response:
    """Show the page for an address without one. Raises Problem 404."""
    # The header of the page is for the user, but not necessary: the database may be unavailable.
    with suppress(TransientError):
        await load_identity(request)
    section, _, rest = request.path_params["path"].partition("/")
    raise Problem(ProblemType.NOT_FOUND, _BAD_IDS.get(section, _NOT_FOUND) if rest else _NOT_FOUND)


async def _handle_error(request: Request, error: Exception) -> Response:
    match error:
        case Problem(type=ProblemType.UNAUTHENTICATED | ProblemType.STALE_FORM):
            return await render_interrupted(request, error)
        case Problem():
            problem = error
        case TransientError():
            log.warning("component unavailable", error=str(error))
            detail = "A service that Sluice depends on is temporarily unavailable."
            problem = Problem(ProblemType.UNAVAILABLE, detail, headers={"Retry-After": "5"})
        case BodyRefused():
            problem = error.problem
        case HTTPException():
            is_method = error.status_code == ProblemType.METHOD_NOT_ALLOWED.status
            problem = Problem(ProblemType.METHOD_NOT_ALLOWED if is_method else ProblemType.NOT_FOUND, _NOT_FOUND)
        case SluiceError() if (found := to_problem(error)) is not None:
            problem = found
        case _:
            raise error
    return render_problem(request, problem)


async def _handle_crash(request: Request, error: Exception) -> Response:
    log.error("unexpected error", path=request.url.path, exc_info=error)
    detail = "Something went wrong in Sluice. The error has been logged."
    page = render_problem(request, Problem(ProblemType.INTERNAL, detail))
    # This answer bypasses the middleware that adds the headers to all other pages.
    page.headers.update({name.decode(): value.decode() for name, value in SECURITY_HEADERS})
    return page


class _CachedStaticFiles(StaticFiles):
    """Static files; one that is requested with the hash of its content (see `asset_url`) is cached for good."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        has_hash = b"v=" in scope["query_string"]
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable" if has_hash else "no-cache"
        return answer


class _SecurityHeadersMiddleware:
    """Adds the security headers (nothing from other hosts, nothing inline, no framing) and cookies of new sessions."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *SECURITY_HEADERS, *read_new_cookies(scope)]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
