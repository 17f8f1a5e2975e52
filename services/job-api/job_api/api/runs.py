"""`/api/v1/runs`, `/artifacts`, `/deliveries`, `/events`: forwarded to history, except for runs just requested.

A run can be read and cancelled as soon as `POST /api/v1/jobs/{job_id}/run` has returned it, though history learns of it
a moment later: until then it is answered from this service's read model, in history's form.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx
from fastapi import Request
from pydantic_core import to_jsonable_python
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from job_api.api.proxy import PATHS, RUNS_PATH, HistoryProxy
from job_api.roles import ANY_ROLE, OPERATORS
from job_api.service import RequestedRunService
from job_api.store import UnitOfWorkFactory
from job_api.store.runs import RequestedRun
from shared.http.identity import RequireIdentity

Fallback = Callable[[Request, UUID], Awaitable[Response | None]]
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# What history's RunDetails has in addition and is not known yet.
_NO_DETAILS: dict[str, Any] = {
    "settings": None,
    "job_deleted": False,
    "window": None,
    "exporter": None,
    "recipients": [],
    "retry_at": None,
    "ended_by": None,
    "rows_per_second": None,
    "data_complete_through": None,
    "parts": [],
    "events": [],
    "artifacts": [],
    "sets": [],
    "estimates": [],
    "throughput": [],
    "estimate_error": None,
}


class RunRoutes:
    """The routes that are forwarded to history, with their fallback for requested runs."""

    def __init__(self, history: HistoryProxy, requested: RequestedRunService, units: UnitOfWorkFactory) -> None:
        self._history = history
        self._requested = requested
        self._units = units
        self._require_reader = RequireIdentity(ANY_ROLE)
        self._require_writer = RequireIdentity(OPERATORS)

    def to_routes(self) -> list[Route]:
        """Return the routes, the most specific first."""
        return [
            Route(RUNS_PATH + "/{run_id:uuid}", self.get_run, methods=["GET"]),
            Route(RUNS_PATH + "/{run_id:uuid}/cancel", self.cancel_run, methods=["POST"]),
            *(
                Route(path + tail, self._history.forward, methods=_METHODS)
                for path in PATHS
                for tail in ("", "/{rest:path}")
            ),
        ]

    async def get_run(self, request: Request) -> Response:
        """Return history's response, or the requested run that history does not know yet."""
        return await self._forward(request, self._get_requested)

    async def cancel_run(self, request: Request) -> Response:
        """Return history's response, or cancel the requested run that history does not know yet."""
        return await self._forward(request, self._cancel_requested)

    async def _forward(self, request: Request, fallback: Fallback) -> Response:
        response = await self._history.forward(request)
        if response.status_code != httpx.codes.NOT_FOUND:
            return response
        instead = await fallback(request, request.path_params["run_id"])
        if instead is None:
            return response
        if response.background is not None:
            await response.background()
        return instead

    async def _get_requested(self, request: Request, run_id: UUID) -> Response | None:
        run = await self._requested.find(await self._require_reader(request), run_id)
        return JSONResponse(to_run_document(run) | _NO_DETAILS) if run is not None else None

    async def _cancel_requested(self, request: Request, run_id: UUID) -> Response | None:
        async with self._units.begin(await self._require_writer(request)) as work:
            run = await self._requested.cancel(work, run_id)
        return JSONResponse(to_run_document(run), httpx.codes.ACCEPTED) if run is not None else None


def to_run_document(run: RequestedRun) -> dict[str, Any]:
    """Return a requested run in the form of history's `Run`, with null for what is not known yet."""
    document = {
        "id": run.run_id,
        "job_id": run.job_id,
        "title": run.title,
        "source": run.source,
        "type": run.type,
        "state": run.state,
        "reason": None,
        "message": None,
        "cause": "run-now",
        "slot": run.slot,
        "created_at": run.slot,
        "started_at": run.started_at,
        "ended_at": None,
        "duration_seconds": None,
        "attempt": 0,
        "rows": None,
        "bytes_raw": None,
        "bytes_packed": None,
        "files": 0,
        "progress": None,
        "progress_detail": None,
        "estimate": None,
        "deliveries": [],
        "version": 0,
    }
    jsonable: dict[str, Any] = to_jsonable_python(document)
    return jsonable
