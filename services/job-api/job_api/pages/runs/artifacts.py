"""The list of files (A1)."""

import asyncio
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from job_api.history_client import Query, is_unavailable
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.labels import TYPE_LABELS
from job_api.pages.kit.lists import ListAddress, build_options
from job_api.pages.kit.rendering import render
from job_api.pages.kit.services import get_services
from job_api.pages.kit.ticks import forget_ticks, read_ticks
from job_api.pages.runs.artifact_actions import MAX_FILES, explain_denials
from job_api.pages.runs.file_sets import FileRow, group_files
from job_api.pages.runs.history_pages import build_history_query, leave_out, render_unavailable
from job_api.roles import ANY_ROLE
from shared.http.problems import Problem

COLUMNS = (
    ("Job", "title"),
    ("Type", "type"),
    ("Files", None),
    ("Created", "created_at"),
    ("Size", "size"),
    ("Days remaining", "expires_at"),
    ("State", "state"),
)
DEFAULT_SORT = "-created_at"
STATE_LABELS = {"available": "Available", "expired": "Expired", "deleted": "Deleted"}
_PAGE_SIZE = "200"
_QUERY_PARAMETERS = ("job_id", "run_id", "type", "state", "search", "cursor")
_FILTERS = ("search", "type", "state", "created_from", "created_until")
_POSITION = ("cursor", "shown_sets")


async def show_artifacts(request: Request) -> Response:
    """Show a page of the files: a row for each set, or with `each_file` a row for each file."""
    identity = await require_identity(request, *ANY_ROLE)
    address = ListAddress(request=request, path=request.url.path, name="artifacts", position=_POSITION)
    sort, each_file = address.get("sort"), bool(address.get("each_file"))
    try:
        found, counts = await _load(request, build_history_query(address, _QUERY_PARAMETERS), sort or DEFAULT_SORT)
        shown_sets = frozenset(address.get("shown_sets").split())
        rows = await add_set_totals(request, group_files(found["items"], each_file=each_file, shown_sets=shown_sets))
    except Problem as problem:
        if is_unavailable(problem):
            return render_unavailable(request, problem, title="Artifacts", section="artifacts")
        raise
    next_cursor, partial_sets = found.get("next"), " ".join(row.key for row in rows if row.is_partial)
    page = render(
        request,
        "runs/artifacts.html",
        rows=rows,
        headers=address.headers(COLUMNS, sort or DEFAULT_SORT),
        sort=sort,
        filters=_build_filters(address, counts),
        scope={name: address.get(name) for name in ("job_id", "run_id")},
        title=rows[0].title if rows else "",
        each_file=each_file,
        other_view=address.link_to_first(each_file=None if each_file else "yes"),
        first_page=address.link_to_first() if address.get("cursor") else None,
        next_page=address.link(cursor=next_cursor, shown_sets=partial_sets) if next_cursor else None,
        denials=explain_denials(identity),
        max_files=MAX_FILES,
        this_page=address.link(),
        ticked=read_ticks(request),
    )
    forget_ticks(page, "/artifacts")
    return page


async def _load(request: Request, query: Query, sort: str) -> tuple[dict[str, Any], dict[str, Any]]:
    history = get_services(request).history
    return await asyncio.gather(
        history.get(request, "/artifacts", [*query, ("sort", sort), ("limit", _PAGE_SIZE)]),
        history.get(request, "/artifacts/counts", leave_out(query, "cursor")),
    )


async def add_set_totals(request: Request, rows: list[FileRow]) -> list[FileRow]:
    """Return rows in which a set has the totals of all its files, though they may be on several pages."""
    for run_id in {row.run_id for row in rows if row.is_partial}:
        run = await get_services(request).history.get(request, f"/runs/{run_id}")
        totals = {each["kind"]: each for each in run["sets"]}
        rows = [
            row.with_totals(totals[row.kind]) if row.run_id == run_id and row.kind in totals else row for row in rows
        ]
    return rows


def _build_filters(address: ListAddress, counts: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: address.get(name) for name in _FILTERS}
    return values | {
        "filtered": any(values.values()),
        "states": build_options(STATE_LABELS, counts["state"], values["state"]),
        "types": build_options(TYPE_LABELS, counts["type"], values["type"]),
    }
