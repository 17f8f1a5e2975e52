"""The list of runs (H1)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from job_api.history_client import Query, is_unavailable
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.labels import RUN_STATE_LABELS, SOURCE_LABELS, TYPE_LABELS
from job_api.pages.kit.lists import ListAddress, build_options
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.pages.kit.ticks import forget_ticks, read_ticks
from job_api.pages.runs.descriptions import describe_run
from job_api.pages.runs.history_pages import build_history_query, explain_denial, leave_out, render_unavailable
from job_api.roles import ANY_ROLE
from shared.http.problems import Problem

COLUMNS = (
    ("Job", "title"),
    ("Status", "state"),
    ("Source", "source"),
    ("Type", "type"),
    ("Started", "started_at"),
    ("Duration", "duration_seconds"),
    ("Rows", "rows"),
    ("Files", "files"),
)
DEFAULT_SORT = "-created_at"
STATE_LABELS = {name: label for name, label in RUN_STATE_LABELS.items() if name != "none"}
DURATION_LABELS = {"60": "over 1 min", "600": "over 10 min", "3600": "over 1 h", "21600": "over 6 h"}
FILES_LABELS = {"true": "with files", "false": "without files"}
_PAGE_SIZE = "50"
_QUERY_PARAMETERS = ("job_id", "type", "source", "search", "duration_from", "has_files", "cursor")
_FILTERS = ("search", "state", "type", "source", "duration_from", "has_files", "created_from", "created_until")
_ACTIVE_STATES = ("queued", "running")


async def show_runs(request: Request) -> Response:
    """Show a page of the runs, of all jobs or one."""
    identity = await require_identity(request, *ANY_ROLE)
    address = ListAddress(request=request, path=request.url.path, name="runs")
    job_id, sort = address.get("job_id"), address.get("sort")
    try:
        found, counts = await _load(request, _build_query(address), sort or DEFAULT_SORT)
    except Problem as problem:
        if is_unavailable(problem):
            return render_unavailable(request, problem, title="History", section="runs")
        raise
    runs = found["items"]
    newest = _find_newest(request, runs)
    page = render(
        request,
        "runs/list.html",
        rows=[describe_run(run) for run in runs],
        headers=address.headers(COLUMNS, sort or DEFAULT_SORT),
        sort=sort,
        filters=_build_filters(address, counts),
        job_id=job_id,
        job_title=runs[0]["title"] if runs and job_id else None,
        newest=newest,
        # In a list with another filter or order, very many runs may have changed since its newest one.
        after=None if newest is None or job_id else _find_latest_version(runs),
        first_page=address.link_to_first() if address.get("cursor") else None,
        next_page=address.link(cursor=found["next"]) if found.get("next") else None,
        this_page=address.link(),
        denial=explain_denial(identity),
        ticked=read_ticks(request),
    )
    forget_ticks(page, "/runs")
    return page


async def _load(request: Request, query: Query, sort: str) -> tuple[dict[str, Any], dict[str, Any]]:
    history = get_services(request).history
    return await asyncio.gather(
        history.get(request, "/runs", [*query, ("sort", sort), ("limit", _PAGE_SIZE)]),
        history.get(request, "/runs/counts", leave_out(query, "cursor")),
    )


def _build_query(address: ListAddress) -> Query:
    state = address.get("state")
    states = _ACTIVE_STATES if state == "active" else filter(None, [state])
    return [*build_history_query(address, _QUERY_PARAMETERS), *(("state", each) for each in states)]


def _find_latest_version(runs: Sequence[Mapping[str, Any]]) -> int | None:
    """Return the version of the run log that the page shows."""
    return max((run["version"] for run in runs), default=None)


def _find_newest(request: Request, runs: Sequence[Mapping[str, Any]]) -> str | None:
    """Return when the newest run on the page was created; None where newer ones would not be at the top."""
    parameters = request.query_params
    if set(parameters) - {"job_id", "sort"} or parameters.get("sort") not in {None, DEFAULT_SORT}:
        return None
    # In the form in which history writes instants, so that the script can compare them.
    return runs[0]["created_at"].isoformat().replace("+00:00", "Z") if runs else ""


def _build_filters(address: ListAddress, counts: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: address.get(name) for name in _FILTERS}
    states: Mapping[str, int] = counts["state"]
    active = sum(states.get(state, 0) for state in _ACTIVE_STATES)
    labels = {"active": "Waiting or in progress"} | STATE_LABELS
    return values | {
        "filtered": any(values.values()),
        "states": build_options(labels, {"active": active, **states}, values["state"]),
        "types": build_options(TYPE_LABELS, counts["type"], values["type"]),
        "sources": build_options(SOURCE_LABELS, counts["source"], values["source"]),
        "durations": build_options(DURATION_LABELS, {}, values["duration_from"]),
        "files": build_options(FILES_LABELS, {}, values["has_files"]),
    }
