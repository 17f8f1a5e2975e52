"""The templates, and what every page shows around its content."""

from functools import cache
from hashlib import sha256
from http import HTTPStatus
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from job_api.pages.kit import formats
from job_api.pages.kit.forms import create_csrf_token
from job_api.pages.kit.labels import RUN_STATE_LABELS
from job_api.pages.kit.notices import NOTICE_COOKIE, read_notice
from job_api.roles import READERS
from shared.auth import Identity
from shared.http.identity import session_of
from shared.http.problems import Problem, ProblemType


@cache
def asset_url(name: str) -> str:
    """Return the address of a static file; it changes with the content, so that browsers can keep the file for good."""
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
    "instant": formats.render_instant,
    "instant_text": formats.format_instant,
    "instant_seconds": formats.format_instant_seconds,
    "duration": formats.format_duration,
    "size": formats.format_size,
    "sentence": formats.capitalize,
}
TEMPLATES.globals |= {
    "run_state_labels": RUN_STATE_LABELS,
    "asset_url": asset_url,
    "time_remaining": formats.format_time_remaining,
}


_TITLES = {404: "Not found", 409: "This is not possible now", 410: "No longer available", 422: "This cannot be read"}
"""What problems are called on pages, where the status has a name that only programmers know."""


def render(request: Request, template: str, /, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page with its header for the identity of the request, and the notice of the request before, if any."""
    identity: Identity | None = getattr(request.state, "identity", None)
    notice = read_notice(request)
    page = {"warnings": (), "history_notice": None} | values
    page |= {
        "identity": identity,
        "tenant_name": getattr(request.state, "tenant_name", ""),
        "has_session": session_of(request) != "",
        "sees_jobs": identity is not None and identity.may(*READERS),
        "csrf": create_csrf_token(request) if identity else "",
        "notice": notice,
    }
    answer = HTMLResponse(TEMPLATES.get_template(template).render(page), status, {"Cache-Control": "no-store"})
    if notice:
        answer.delete_cookie(NOTICE_COOKIE, path="/")
    return answer


def render_problem(request: Request, problem: Problem) -> Response:
    """Return a problem as a page, with its status and headers."""
    title = "Access denied" if problem.type is ProblemType.ACCESS_DENIED else _TITLES.get(problem.status)
    title = title or HTTPStatus(problem.status).phrase
    page = render(request, "kit/problem.html", status=problem.status, title=title, problem=problem)
    page.headers.update(problem.headers)
    return page
