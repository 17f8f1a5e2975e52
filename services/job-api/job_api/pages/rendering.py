"""Templates, and what every page has."""

from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from job_api.service import Access
from shared import auth
from shared.auth import Identity
from shared.events.values import Role
from shared.problems import Problem
from shared.web import SESSION_COOKIE, same_origin

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


def utc(instant: datetime) -> str:
    """Return an instant as people read it."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def seconds_in_words(seconds: float) -> str:
    """Return a length of time as people say it, about right."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


_templates = Environment(
    loader=PackageLoader("job_api.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"utc": utc, "length": seconds_in_words}
_templates.globals["status_words"] = STATUS_WORDS


def render(name: str, *, who: Identity | None, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page."""
    text = _templates.get_template(name).render(who=who, **values)
    return HTMLResponse(text, status, {"Cache-Control": "no-store"})


def failed(request: Request, problem: Problem) -> Response:
    """Return a problem as a page, in plain words."""
    title = "Access denied" if problem.type == "access-denied" else HTTPStatus(problem.status).phrase
    if problem.status == 404:
        title = "Not found"
    page = render("problem.html", who=None, status=problem.status, title=title, problem=problem)
    page.headers.update(problem.headers)
    return page


def to_login(request: Request) -> Response:
    """Return the way to the login page, and back here afterwards."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/login?next={quote(here if request.method == 'GET' else '/jobs')}", 303)


async def visitor(access: Access, request: Request, *roles: Role) -> Identity:
    """Return whose session it is. Raises Problem 401 without one, 403 without one of the roles or from another site."""
    token = auth.parse(request.cookies.get(SESSION_COOKIE, ""))
    who = await access.identity_of(token) if token else None
    if who is None:
        raise Problem(401, "unauthenticated", "Log in first.")
    if request.method not in {"GET", "HEAD"} and not same_origin(request):
        raise Problem(403, "cross-site", "This can only be done from Sluice's own pages.")
    if not who.may(*roles):
        raise Problem(403, "access-denied", f"This needs the role {' or '.join(roles)}; ask an administrator.")
    return who
