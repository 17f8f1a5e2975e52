"""The list of jobs, and what can be done with the one that is chosen in it (J3 to J5, J9, J11)."""

import asyncio
import hashlib
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.api.jobs import JobQuery
from job_api.api.requests import etag, versions
from job_api.domain import Command, refusals
from job_api.pages.jobs.job_rows import SOURCE_WORDS, TYPE_WORDS, Row
from job_api.pages.jobs.notices import Surroundings
from job_api.pages.kit import lists
from job_api.pages.kit.forms import form_of
from job_api.pages.kit.notices import done
from job_api.pages.kit.rendering import STATUS_WORDS, local, render, visitor
from job_api.roles import READERS, WRITERS
from job_api.service import Access, Jobs
from job_api.store import Once
from shared.auth import Identity
from shared.clock import Clock
from shared.http.problems import Problem, ProblemType

COLUMNS = (
    ("Title", "title"),
    ("Source", "source"),
    ("Type", "type"),
    ("Schedule", "schedule"),
    ("Latest status", "status"),
    ("Last run", "last_run"),
    ("Next run", "next_run"),
    ("State", "state"),
)
KIND_WORDS = {"once": "Once", "hourly": "Hourly", "daily": "Daily", "weekly": "Weekly", "monthly": "Monthly"}
CHOICES = (
    ("source", "Source", SOURCE_WORDS),
    ("type", "Type", TYPE_WORDS),
    ("schedule", "Schedule", KIND_WORDS),
    ("status", "Latest status", STATUS_WORDS),
)
"""Filters that are choices: the field, its words, its values."""
STATES = {"active": "Active", "suspended": "Suspended"}
DENIED = "This needs the role operator; ask an administrator."
_PASSED_ON = ("source", "type", "schedule", "status", "state", "search", "sort", "cursor", "limit")
_SWITCHES = {"suspend": (Command.SUSPEND, "job-suspended"), "resume": (Command.RESUME, "job-resumed")}


async def job_list(access: Access, jobs: Jobs, around: Surroundings, clock: Clock, request: Request) -> Response:
    """Show a page of the jobs."""
    who = await visitor(access, request, *READERS)
    query = _query(request)
    page, warnings, missing = await asyncio.gather(
        jobs.page(who, query.to_wish()), around.warnings(who), around.missing()
    )
    now = clock.now()
    denied = None if who.may(*WRITERS) else DENIED
    filters = {name: request.query_params.get(name, "") for name in (*_PASSED_ON, "ran", "due")}
    return render(
        request,
        "jobs.html",
        rows=[Row.of(view, now, denied) for view in page.items],
        heads=lists.heads(request, COLUMNS, query.sort),
        choices=CHOICES,
        states=STATES,
        filters=filters,
        filtered=any(value for name, value in filters.items() if name not in {"sort", "cursor", "limit"}),
        first=lists.link(request, cursor=None) if query.cursor else None,
        following=lists.link(request, cursor=query.next_of(page)) if page.after else None,
        here=lists.link(request),
        denied=denied,
        warnings=warnings,
        missing=missing,
    )


async def choosing(access: Access, jobs: Jobs, request: Request) -> Response:
    """Lead to what the toolbar's buttons do with the chosen job."""
    who = await visitor(access, request, *READERS)
    form = await form_of(request)
    back, job_id = local(form.get("next")), _id(form.get("job"))
    if job_id is None:
        return done(back, "choose-job")
    kept = urlencode({"next": back})
    match form.get("do"):
        case "edit":
            return RedirectResponse(f"/jobs/{job_id}/edit?{kept}", 303)
        case "clone":
            return RedirectResponse(f"/jobs/new?{urlencode({'clone': job_id, 'next': back})}", 303)
        case "delete":
            return RedirectResponse(f"/jobs/{job_id}/delete?{kept}", 303)
        case "history":
            return RedirectResponse(f"/runs?job={job_id}", 303)
        case "run":
            return await _run_now(jobs, _writer(who), job_id, request, back)
    raise Problem(ProblemType.INVALID, "This cannot be done with jobs.")


async def _run_now(jobs: Jobs, who: Identity, job_id: UUID, request: Request, back: str) -> Response:
    # Pressed twice on the same page, it is one run: the form's token is in the body and differs from page to page.
    sent = hashlib.sha256(await request.body()).hexdigest()
    await jobs.run_now(who, job_id, Once("run-job", f"page-{sent}", sent), lambda run: {"run": str(run)})
    return done(back, "job-run")


async def switching(access: Access, jobs: Jobs, request: Request) -> Response:
    """Suspend or resume a job, and show the list again."""
    who = await visitor(access, request, *WRITERS)
    command, said = _SWITCHES[request.url.path.rpartition("/")[2]]
    await jobs.switch(who, request.path_params["job_id"], command)
    return done(local((await form_of(request)).get("next", "")), said)


async def asking_to_delete(access: Access, jobs: Jobs, clock: Clock, request: Request) -> Response:
    """Ask once more before a job is deleted, or say why it cannot be."""
    who = await visitor(access, request, *WRITERS)
    view = await jobs.get(who, request.path_params["job_id"])
    why = refusals(view.job, now=clock.now(), busy=view.busy).get(Command.DELETE.value)
    return render(
        request,
        "delete.html",
        view=view,
        why=why,
        back=local(request.query_params.get("next", "")),
        action=f"/jobs/{view.job.job_id}/delete",
        version=etag(view.job.version),
    )


async def deleting(access: Access, jobs: Jobs, request: Request) -> Response:
    """Delete a job as it was when somebody was asked."""
    who = await visitor(access, request, *WRITERS)
    form = await form_of(request)
    await jobs.delete(who, request.path_params["job_id"], versions=versions(form.get("version") or '""'))
    return done(local(form.get("next")), "job-deleted")


def _writer(who: Identity) -> Identity:
    if not who.may(*WRITERS):
        raise Problem(ProblemType.ACCESS_DENIED, DENIED)
    return who


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _query(request: Request) -> JobQuery:
    wanted: dict[str, str | None] = {name: request.query_params.get(name) for name in _PASSED_ON}
    wanted |= {
        "last_run_from": lists.day(request.query_params.get("ran", "")),
        "next_run_until": lists.day(request.query_params.get("due", ""), after=True),
    }
    return lists.query_of(JobQuery, wanted)
