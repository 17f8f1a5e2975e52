"""The list of jobs, and the actions on one of them (J3 to J5, J9, J11)."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from job_api.domain import JobAction, find_refusals
from job_api.errors import NotFound
from job_api.pages.jobs.draft_content import parse_id
from job_api.pages.jobs.first_steps import load_first_steps
from job_api.pages.jobs.job_rows import JobRow, render_row
from job_api.pages.jobs.notices import JobPageNotices, load_notices
from job_api.pages.jobs.saving import show_in_list
from job_api.pages.jobs.selected import load_outcomes
from job_api.pages.kit.certificates import find_risk
from job_api.pages.kit.forms import parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.labels import OPERATOR_REQUIRED, RUN_STATE_LABELS, SCHEDULE_LABELS, SOURCE_LABELS, TYPE_LABELS
from job_api.pages.kit.lists import ListAddress, parse_list_query
from job_api.pages.kit.navigation import to_local_path
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.queries import JobQuery
from job_api.roles import OPERATORS, READERS
from job_api.store import JobView
from shared.auth import Identity
from shared.http.conditional import parse_if_match, to_etag

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
QuickFilter = tuple[str, int, str, bool]
"""A count above the list: its label, the number of jobs, the address of their list, and whether it is shown now."""
STATE_LABELS = {"active": "Active", "suspended": "Suspended"}
_QUERY_PARAMETERS = ("source", "type", "schedule", "status", "state", "search", "sort", "cursor", "limit")
_DAY_PARAMETERS = ("last_run_from", "next_run_until")
_NOT_FILTERS = {"sort", "cursor", "limit"}
POSITION = ("cursor", "shown", "done")
"""The parameters that say which page is shown, which job is marked, and which actions are reported."""
QUICK_FILTERS: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("all", "All", {}),
    ("running", "In progress", {"status": "running"}),
    ("queued", "Waiting", {"status": "queued"}),
    ("failed", "Failed", {"status": "failed"}),
    ("suspended", "Suspended", {"state": "suspended"}),
)
"""The counts above the list: the name of each, its label, and the filter that shows these jobs."""


async def show_jobs(request: Request) -> Response:
    """Show a page of the jobs."""
    identity = await require_identity(request, *READERS)
    services, address = get_services(request), _address(request)
    query = _parse_query(address)
    page, counts, notices = await asyncio.gather(
        services.jobs.list_page(identity, query.to_page_request()),
        services.jobs.count_by_state(identity),
        load_notices(services, identity),
    )
    position = await services.jobs.locate(identity, query.to_page_request(), page)
    now = services.clock.now()
    denial = None if identity.may(*OPERATORS) else OPERATOR_REQUIRED
    filters = {name: address.get(name) for name in (*_QUERY_PARAMETERS, *_DAY_PARAMETERS)}
    filtered = any(value for name, value in filters.items() if name not in _NOT_FILTERS)
    is_whole = not (denial or filtered or page.after or page.before)
    apart = await _find_apart(request, identity, page.items)
    rows = [_render(view, notices, now=now, denial=denial) for view in ([*page.items, apart] if apart else page.items)]
    return render(
        request,
        "jobs/list.html",
        first_steps=await load_first_steps(services, identity, page.items) if is_whole else None,
        rows=rows[: len(page.items)],
        apart=rows[-1] if apart else None,
        outcomes=await load_outcomes(request, identity),
        counts=_to_counts(counts, filters),
        headers=address.headers(COLUMNS, query.sort),
        select_filters=SELECT_FILTERS,
        states=STATE_LABELS,
        filters=filters,
        filtered=filtered,
        range=(position.before + 1, position.before + len(page.items), position.total),
        previous_page=address.link(cursor=query.previous_cursor(page), shown=None, done=None) if page.before else None,
        next_page=address.link(cursor=query.next_cursor(page), shown=None, done=None) if page.after else None,
        this_page=address.link(shown=None, done=None),
        denial=denial,
        warnings=notices.warnings,
        history_notice=notices.history,
    )


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


async def _switch(request: Request, action: JobAction, notice: str) -> Response:
    identity = await require_identity(request, *OPERATORS)
    services = get_services(request)
    async with services.units.begin(identity) as work:
        view = await services.jobs.switch(work, request.path_params["job_id"], action)
    back = to_local_path((await parse_form(request)).get("next"))
    return redirect_with_notice(show_in_list(back, view.job.job_id), notice, job=view.job.settings.title)


def _render(view: JobView, notices: JobPageNotices, *, now: datetime, denial: str | None) -> Markup:
    risk = find_risk(view.job.settings.certificates, notices.active, now)
    return render_row(replace(JobRow.from_view(view, now, denial), risk=risk))


async def _find_apart(request: Request, identity: Identity, items: Sequence[JobView]) -> JobView | None:
    """Return the job that the address asks to show, if this page of the list does not have it."""
    job_id = parse_id(request.query_params.get("shown", ""))
    if job_id is None or any(view.job.job_id == job_id for view in items):
        return None
    with suppress(NotFound):
        return await get_services(request).jobs.get(identity, job_id)
    return None


def _to_counts(counts: Mapping[str, int], filters: Mapping[str, str]) -> list[QuickFilter]:
    present = {name: value for name, value in filters.items() if value and name not in _NOT_FILTERS}
    sort = {"sort": filters["sort"]} if filters["sort"] else {}
    return [
        (label, counts.get(name, 0), f"/jobs?{urlencode(own | sort)}".rstrip("?"), present == own)
        for name, label, own in QUICK_FILTERS
    ]


def _address(request: Request) -> ListAddress:
    return ListAddress(request=request, path=request.url.path, name="jobs", position=POSITION)


def _parse_query(address: ListAddress) -> JobQuery:
    parameters: dict[str, str | None] = {name: address.get(name) for name in _QUERY_PARAMETERS}
    parameters |= {
        "last_run_from": address.get_day("last_run_from"),
        "next_run_until": address.get_last_day("next_run_until"),
    }
    return parse_list_query(JobQuery, parameters)
