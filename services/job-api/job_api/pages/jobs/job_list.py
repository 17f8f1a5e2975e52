"""The list of jobs, and the actions on a selected one (J3 to J5, J9, J11)."""

import asyncio
from dataclasses import replace
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from job_api.commands import run_once
from job_api.domain import JobAction, find_refusals
from job_api.pages.jobs.first_steps import load_first_steps
from job_api.pages.jobs.job_rows import JobRow, render_row
from job_api.pages.jobs.notices import load_notices
from job_api.pages.kit.certificates import find_risk
from job_api.pages.kit.forms import identify_submission, parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.labels import OPERATOR_REQUIRED, RUN_STATE_LABELS, SCHEDULE_LABELS, SOURCE_LABELS, TYPE_LABELS
from job_api.pages.kit.lists import ListAddress, parse_list_query
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.queries import JobQuery
from job_api.roles import OPERATORS, READERS
from job_api.store import UnitOfWork
from shared.auth import Identity
from shared.http.conditional import parse_if_match, to_etag
from shared.http.idempotency import RenderedResponse
from shared.http.problems import Problem, ProblemType

COLUMNS = (
    ("Title", "title"),
    ("Source", "source"),
    ("Type", "type"),
    ("Schedule", "schedule"),
    ("Latest status", "status"),
    ("Last run", "last_run_at"),
    ("Next run", "next_run_at"),
    ("State", "state"),
)
SELECT_FILTERS = (
    ("source", "Source", SOURCE_LABELS),
    ("type", "Type", TYPE_LABELS),
    ("schedule", "Schedule", SCHEDULE_LABELS),
    ("status", "Latest status", RUN_STATE_LABELS),
)
"""Filters with a fixed set of values: the parameter, its label, the values with their labels."""
STATE_LABELS = {"active": "Active", "suspended": "Suspended"}
_QUERY_PARAMETERS = ("source", "type", "schedule", "status", "state", "search", "sort", "cursor", "limit")
_DAY_PARAMETERS = ("last_run_from", "next_run_until")
_NOT_FILTERS = {"sort", "cursor", "limit"}


async def show_jobs(request: Request) -> Response:
    """Show a page of the jobs."""
    identity = await require_identity(request, *READERS)
    services, address = get_services(request), _address(request)
    query = _parse_query(address)
    page, notices = await asyncio.gather(
        services.jobs.list_page(identity, query.to_page_request()), load_notices(services, identity)
    )
    now = services.clock.now()
    denial = None if identity.may(*OPERATORS) else OPERATOR_REQUIRED
    filters = {name: address.get(name) for name in (*_QUERY_PARAMETERS, *_DAY_PARAMETERS)}
    filtered = any(value for name, value in filters.items() if name not in _NOT_FILTERS)
    return render(
        request,
        "jobs/list.html",
        first_steps=None
        if denial or filtered or page.after
        else await load_first_steps(services, identity, page.items),
        rows=[
            render_row(
                replace(
                    JobRow.from_view(view, now, denial),
                    risk=find_risk(view.job.settings.certificates, notices.active, now),
                )
            )
            for view in page.items
        ],
        headers=address.headers(COLUMNS, query.sort),
        select_filters=SELECT_FILTERS,
        states=STATE_LABELS,
        filters=filters,
        filtered=filtered,
        first_page=address.link_to_first() if query.cursor else None,
        next_page=address.link(cursor=query.next_cursor(page)) if page.after else None,
        this_page=address.link(),
        denial=denial,
        warnings=notices.warnings,
        history_notice=notices.history,
    )


async def submit_selected(request: Request) -> Response:
    """Carry out what a button of the toolbar does with the selected job, or lead to the page that does."""
    identity = await require_identity(request, *READERS)
    form = await parse_form(request)
    back, job_id = to_local_path(form.get("next")), _parse_id(form.get("job"))
    if job_id is None:
        return redirect_with_notice(back, "select-job")
    match form.get("action"):
        case "edit" | "delete" as action:
            return RedirectResponse(f"/jobs/{job_id}/{action}?{urlencode({'next': back})}", 303)
        case "clone":
            return RedirectResponse(f"/jobs/new?{urlencode({'job_id': job_id, 'next': back})}", 303)
        case "history":
            return RedirectResponse(f"/runs?job_id={job_id}", 303)
        case "run":
            return await _request_run(request, identity, job_id)
    raise Problem(ProblemType.INVALID, "Jobs have no such action.")


async def suspend_job(request: Request) -> Response:
    """Suspend a job, and show the list again."""
    return await _switch(request, JobAction.SUSPEND, "job-suspended")


async def resume_job(request: Request) -> Response:
    """Resume a job, and show the list again."""
    return await _switch(request, JobAction.RESUME, "job-resumed")


async def confirm_deletion(request: Request) -> Response:
    """Ask for confirmation before a job is deleted, or say why it cannot be."""
    identity = await require_identity(request, *OPERATORS)
    services = get_services(request)
    view = await services.jobs.get(identity, request.path_params["job_id"])
    return render(
        request,
        "jobs/delete.html",
        title=view.job.settings.title,
        run_in_progress=view.run_in_progress,
        refusal=find_refusals(view.job, now=services.clock.now(), run_in_progress=view.run_in_progress).get(
            JobAction.DELETE.value
        ),
        back=to_local_path(request.query_params.get("next", "")),
        action=f"/jobs/{view.job.job_id}/delete",
        version=to_etag(view.job.version),
    )


async def delete_job(request: Request) -> Response:
    """Delete a job, provided that it is still as the confirmation showed it."""
    identity = await require_identity(request, *OPERATORS)
    form = await parse_form(request)
    services, versions = get_services(request), parse_if_match(form.get("version") or '""')
    view = await services.jobs.get(identity, request.path_params["job_id"])
    async with services.units.begin(identity) as work:
        await services.jobs.delete(work, view.job.job_id, versions=versions)
    return redirect_with_notice(to_local_path(form.get("next")), "job-deleted", job=view.job.settings.title)


async def _request_run(request: Request, identity: Identity, job_id: UUID) -> Response:
    if not identity.may(*OPERATORS):
        raise Problem(ProblemType.ACCESS_DENIED, OPERATOR_REQUIRED)
    services = get_services(request)

    async def request_run(work: UnitOfWork) -> RenderedResponse:
        return RenderedResponse({"run_id": str(await services.jobs.run_now(work, job_id))})

    view = await services.jobs.get(identity, job_id)
    requested = await run_once(services.units, identity, await identify_submission(request), command=request_run)
    back, link = to_local_path((await parse_form(request)).get("next")), f"/runs/{requested.body['run_id']}"
    return redirect_with_notice(back, "run-requested", link=link, job=view.job.settings.title)


async def _switch(request: Request, action: JobAction, notice: str) -> Response:
    identity = await require_identity(request, *OPERATORS)
    services = get_services(request)
    async with services.units.begin(identity) as work:
        view = await services.jobs.switch(work, request.path_params["job_id"], action)
    back = to_local_path((await parse_form(request)).get("next"))
    return redirect_with_notice(back, notice, job=view.job.settings.title)


def _address(request: Request) -> ListAddress:
    return ListAddress(request=request, path=request.url.path, name="jobs")


def _parse_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _parse_query(address: ListAddress) -> JobQuery:
    parameters: dict[str, str | None] = {name: address.get(name) for name in _QUERY_PARAMETERS}
    parameters |= {
        "last_run_from": address.get_day("last_run_from"),
        "next_run_until": address.get_last_day("next_run_until"),
    }
    return parse_list_query(JobQuery, parameters)
