"""What the pages of history share: the page shown while history is unavailable, and what a reader may not do."""

from starlette.requests import Request
from starlette.responses import Response

from job_api.history_client import Query
from job_api.pages.kit.labels import OPERATOR_REQUIRED
from job_api.pages.kit.lists import ListAddress
from job_api.pages.kit.rendering import render
from job_api.roles import OPERATORS
from shared.auth import Identity
from shared.http.problems import Problem


def render_unavailable(request: Request, problem: Problem, *, title: str, section: str) -> Response:
    """Return the page that says that history is unavailable, with the problem's status and headers."""
    values = {"title": title, "section": section, "problem": problem}
    page = render(request, "kit/unavailable.html", status=problem.status, **values)
    page.headers.update(problem.headers)
    return page


def explain_denial(identity: Identity) -> str:
    """Return why an identity may not change runs; empty for one that may."""
    return "" if identity.may(*OPERATORS) else OPERATOR_REQUIRED


def build_history_query(address: ListAddress, parameters: tuple[str, ...]) -> Query:
    """Return the parameters of a page's address that history's lists have as well, and its days as instants."""
    query = [(name, value) for name in parameters if (value := address.get(name))]
    days = {"created_from": address.get_day("created_from"), "created_until": address.get_last_day("created_until")}
    return [*query, *((name, instant) for name, instant in days.items() if instant)]


def leave_out(query: Query, *names: str) -> Query:
    """Return a query without some of its parameters."""
    return [(name, value) for name, value in query if name not in names]
