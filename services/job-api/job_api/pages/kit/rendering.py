"""Templates, and what every page has."""

from datetime import datetime
from functools import cache, lru_cache
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from job_api.pages.kit.forms import CSRF_FIELD, csrf_token, form_of, is_ours
from job_api.pages.kit.notices import take
from job_api.pages.runs.descriptions import lasted
from job_api.roles import READERS
from job_api.service import Access
from shared import auth
from shared.auth import Identity
from shared.events.values import Role
from shared.http.identity import SESSION_COOKIE, is_same_origin
from shared.http.problems import Problem, ProblemType

STATUS_WORDS = {
    "none": "Not run yet",
    "queued": "Waiting",
    "running": "In progress",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "cancelled": "Cancelled",
    "skipped": "Skipped",
}
"""What the pages call the states of runs."""
ANYBODY: tuple[Role, ...] = ("operator", "downloader", "viewer")


def utc(instant: datetime) -> str:
    """Return an instant as people read it."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def utc_seconds(instant: datetime) -> str:
    """Return an instant as a timeline shows it."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"


@lru_cache(maxsize=4096)
def stamp(instant: datetime) -> Markup:
    """Return an instant as the pages show it; the script writes the viewer's own time into its small line.

    Kept by heart, as lists show the same few instants again and again.
    """
    return Markup('<time datetime="{}">{}<small class="local"></small></time>').format(
        instant.isoformat(), utc(instant)
    )


def seconds_in_words(seconds: float) -> str:
    """Return a length of time as people say it, about right."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def time_left(seconds: float | None, low: float | None, high: float | None) -> str:
    """Return an estimate as people say it: about 3 min, 2 to 5 min left."""
    if seconds is None:
        return "the time left is not known yet"
    if low is None or high is None:
        return f"about {seconds_in_words(seconds)} left"
    least, most = seconds_in_words(low), seconds_in_words(high)
    if least.partition(" ")[2] == most.partition(" ")[2]:
        least = least.partition(" ")[0]
    return f"about {seconds_in_words(seconds)}, {least} to {most} left"


def size_in_words(size: float) -> str:
    """Return a number of bytes as people say it."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


@cache
def asset(name: str) -> str:
    """Return the address of a static file, which changes with its content: browsers may keep it for good."""
    content = files("job_api.pages").joinpath("static", name).read_bytes()
    return f"/static/{name}?v={sha256(content).hexdigest()[:10]}"


TEMPLATES = Environment(
    loader=PackageLoader("job_api.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters |= {
    "utc": utc,
    "stamp": stamp,
    "length": seconds_in_words,
    "size": size_in_words,
    "utc_seconds": utc_seconds,
    "lasted": lasted,
}
TEMPLATES.globals |= {"status_words": STATUS_WORDS, "asset": asset, "time_left": time_left}


def render(request: Request, name: str, /, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page to whoever `visitor` found; with what was said by the request before, if anything."""
    who: Identity | None = getattr(request.state, "who", None)
    page = {"warnings": (), "missing": None} | values
    page |= {"who": who, "csrf": csrf_token(request) if who else "", "sees_jobs": who is not None and who.may(*READERS)}
    page["sign_in_with"] = getattr(request.app.state, "sign_in_with", None)
    page |= {"at_door": SESSION_COOKIE in request.cookies, "said": take(request)}
    answer = HTMLResponse(TEMPLATES.get_template(name).render(page), status, {"Cache-Control": "no-store"})
    if page["said"]:
        answer.delete_cookie("sluice_said", path="/")
    return answer


def failed(request: Request, problem: Problem) -> Response:
    """Return a problem as a page, in plain words."""
    title = "Access denied" if problem.type is ProblemType.ACCESS_DENIED else HTTPStatus(problem.status).phrase
    if problem.status == 404:
        title = "Not found"
    page = render(request, "problem.html", status=problem.status, title=title, problem=problem)
    page.headers.update(problem.headers)
    return page


def to_login(request: Request) -> Response:
    """Return the way to the login page, and back here afterwards."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(here if request.method == 'GET' else '/jobs')}", 303)


def local(path: str) -> str:
    """Return a path of ours to go to; anything else leads to the jobs."""
    ours = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if ours else "/jobs"


async def visitor(access: Access, request: Request, *roles: Role) -> Identity:
    """Return whose session it is, and show it on the page; without `roles` anybody's will do.

    Raises Problem 401 without one, 403 without one of the roles, or for a form that is not from our own pages.
    """
    who = await recognised(access, request)
    if who is None:
        raise Problem(ProblemType.UNAUTHENTICATED, "Log in first.")
    if request.method not in {"GET", "HEAD"}:
        await _check_origin(request)
    if roles and not who.may(*roles):
        raise Problem(ProblemType.ACCESS_DENIED, f"This needs the role {' or '.join(roles)}; ask an administrator.")
    return who


async def recognised(access: Access, request: Request) -> Identity | None:
    """Return whose session it is, if anybody's."""
    token = auth.parse_token(request.cookies.get(SESSION_COOKIE, ""))
    who = await access.identity_of(token) if token else None
    request.state.who = who
    return who


async def _check_origin(request: Request) -> None:
    if not is_same_origin(request):
        raise Problem(ProblemType.CROSS_SITE, "This can only be done from Sluice's own pages.")
    if not is_ours(request, (await form_of(request)).get(CSRF_FIELD)):
        raise Problem(
            ProblemType.STALE_FORM, "This form is from another session: go back, load the page again and repeat."
        )
