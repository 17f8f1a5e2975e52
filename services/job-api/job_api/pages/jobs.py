"""The list of jobs."""

from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.api.jobs import JobQuery
from job_api.api.roles import READERS, WRITERS
from job_api.domain import Command, refusals
from job_api.domain.schedules import in_words
from job_api.pages.forms import form_of
from job_api.pages.rendering import local, render, visitor
from job_api.service import Access, Jobs
from shared.clock import Clock
from shared.problems import Problem

COLUMNS = (
    ("title", "Title"),
    ("source", "Source"),
    ("type", "Type"),
    ("status", "Latest status"),
    ("last_run", "Last run"),
    ("next_run", "Next run"),
    ("state", "State"),
)
_SWITCHES = {"suspend": Command.SUSPEND, "resume": Command.RESUME}


async def job_list(access: Access, jobs: Jobs, clock: Clock, request: Request) -> Response:
    """Show a page of the jobs."""
    who = await visitor(access, request, *READERS)
    query = _query(request)
    page = await jobs.page(who, query.to_wish())
    now = clock.now()
    return render(
        request,
        "jobs.html",
        rows=[(view, refusals(view.job, now=now, busy=view.busy), in_words(view.job.schedule)) for view in page.views],
        headers=[
            (title, _sorted_by(request, column, query.sort), _order(column, query.sort)) for column, title in COLUMNS
        ],
        following=_with(request, cursor=query.next_of(page)) if page.after else None,
        query=query,
        here=str(request.url.path) + (f"?{request.url.query}" if request.url.query else ""),
        may_write=who.may(*WRITERS),
    )


async def switching(access: Access, jobs: Jobs, request: Request) -> Response:
    """Suspend or resume a job, and show the list again."""
    who = await visitor(access, request, *WRITERS)
    command = _SWITCHES.get(request.path_params["command"])
    if command is None:
        raise Problem(404, "not-found", "There is nothing at this address.")
    await jobs.switch(who, request.path_params["job_id"], command)
    return RedirectResponse(local((await form_of(request)).get("next", "")), 303)


def _query(request: Request) -> JobQuery:
    try:
        return JobQuery.model_validate({name: value for name, value in request.query_params.items() if value})
    except ValidationError:
        raise Problem(422, "invalid", "This list cannot be filtered or sorted like that.") from None


def _sorted_by(request: Request, column: str, now: str) -> str:
    return _with(request, sort=f"-{column}" if now == column else column, cursor=None)


def _order(column: str, now: str) -> str:
    return {column: "ascending", f"-{column}": "descending"}.get(now, "none")


def _with(request: Request, **changes: str | None) -> str:
    wanted = {name: value for name, value in (dict(request.query_params) | changes).items() if value}
    return f"{request.url.path}?{urlencode(wanted)}"
