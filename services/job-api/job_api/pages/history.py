"""The list of runs, read from history through its REST API; without history the page says so."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import httpx
from starlette.requests import Request
from starlette.responses import Response

from job_api.pages.entry import ANYBODY
from job_api.pages.rendering import render, visitor
from job_api.service import Access
from shared.web import SESSION_COOKIE

_PASSED_ON = ("cursor", "job", "state", "sort")


async def run_list(access: Access, history: httpx.AsyncClient | None, request: Request) -> Response:
    """Show a page of the runs, of all jobs or one."""
    who = await visitor(access, request, *ANYBODY)
    wanted = {name: request.query_params[name] for name in _PASSED_ON if request.query_params.get(name)}
    found = await _runs(history, request.cookies.get(SESSION_COOKIE, ""), wanted)
    rows = [_row(item) for item in found["items"]] if found else []
    following = found.get("next") if found else None
    return render(
        "runs.html",
        who=who,
        rows=rows,
        away=found is None,
        of_one_job="job" in wanted,
        following=f"/runs?{urlencode(wanted | {'cursor': following})}" if following else None,
    )


async def _runs(history: httpx.AsyncClient | None, session: str, wanted: dict[str, str]) -> dict[str, Any] | None:
    if history is None:
        return None
    try:
        answer = await history.get(
            "/api/v1/runs",
            params=wanted | {"limit": "50"},
            headers={"Cookie": f"{SESSION_COOKIE}={session}"},
            timeout=3.0,
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError):
        return None
    return found if isinstance(found.get("items"), list) else None


def _row(item: dict[str, Any]) -> dict[str, Any]:
    return item | {name: _instant(item.get(name)) for name in ("slot", "started_at", "ended_at")}


def _instant(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None
