"""Cloning: a new job of another's settings, or of the settings that a run was frozen with."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import httpx
from fastapi import APIRouter, Body, Depends, Request
from starlette.responses import JSONResponse

from job_api.api.drafts import JobDraft, document_of, patched
from job_api.api.jobs import made
from job_api.api.problems import refused
from job_api.api.requests import answered, once
from job_api.api.views import JobOut
from job_api.domain import Draft, Job
from job_api.roles import Writer
from job_api.service import Jobs
from job_api.store import Once
from shared.http.problems import Problem, ProblemType, not_found

Cloning = Annotated[Once, Depends(once("clone-job"))]
Changes = Annotated[
    dict[str, Any],
    Body(
        default_factory=dict,
        description="a merge patch of the settings; what it does not name is taken over",
        examples=[{"title": "The same, for the regulator", "split_size": 1073741824}],
    ),
]
_PASSED_ON = ("authorization", "cookie")
_SECONDS = 5.0


def clone_routes(jobs: Jobs, history: httpx.AsyncClient | None) -> APIRouter:
    """Return the routes that make jobs of what there is."""
    routes = APIRouter(prefix="/api/v1", tags=["jobs"])

    @routes.post(
        "/jobs/{job_id:uuid}/clone",
        operation_id="cloneJob",
        summary="Make a job of another's settings, changed as the merge patch says",
        status_code=201,
        response_model=JobOut,
        responses=refused(404, 409, 413),
    )
    async def clone(who: Writer, job_id: UUID, changes: Changes, once: Cloning) -> JSONResponse:
        """Make a new job of a job's settings; one that started immediately does so again."""
        return answered(await jobs.clone(who, job_id, lambda job: draft_of(job, changes), once, made))

    @routes.post(
        "/jobs/from-run/{run_id:uuid}",
        operation_id="cloneRun",
        summary="Make a job of the settings that a run was frozen with; it starts at once unless changed",
        status_code=201,
        response_model=JobOut,
        responses=refused(404, 409, 413),
    )
    async def from_run(who: Writer, run_id: UUID, changes: Changes, once: Cloning, request: Request) -> JSONResponse:
        """Make a new job of what a run was frozen with, though its job was changed or deleted since."""
        document = frozen(await run_settings(history, run_id, request))
        return answered(await jobs.create(who, patched(document, changes), once, made))

    return routes


def draft_of(job: Job, changes: dict[str, Any]) -> Draft:
    """Return the draft of a job's clone: what started at once starts at once again."""
    document = document_of(job)
    if job.schedule.immediately:
        document["schedule"].pop("start")
    return patched(document, changes)


def frozen(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a job that would have these settings, once and at once."""
    taken = {name: value for name, value in settings.items() if name in JobDraft.model_fields}
    return taken | {"schedule": {"kind": "once", "immediately": True}}


async def run_settings(history: httpx.AsyncClient | None, run_id: UUID, request: Request) -> Mapping[str, Any]:
    """Ask history for a run's frozen settings, in the name of whoever asks. Raises Problem 404 or 503."""
    away = Problem(
        ProblemType.HISTORY_UNAVAILABLE, "The history of runs is away just now.", headers={"Retry-After": "5"}
    )
    if history is None:
        raise away
    headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    try:
        answer = await history.get(f"/api/v1/runs/{run_id}", headers=headers, timeout=_SECONDS)
    except httpx.HTTPError as error:
        raise away from error
    if answer.status_code == 404:
        raise not_found("run")
    settings = answer.json().get("settings") if answer.is_success else None
    if not isinstance(settings, dict):
        raise away
    return settings
