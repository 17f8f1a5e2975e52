"""`/api/v1/jobs/{job_id}/suspend`, `/resume`, `/run` and `/clone`, and `/api/v1/jobs/from-run/{run_id}`."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Body, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from job_api.api.job_documents import Job
from job_api.api.job_responses import render_created_job
from job_api.api.jobs import CREATED_RESPONSE, JOB_RESPONSE
from job_api.api.proxy import History
from job_api.api.services import Jobs, Responder, Units
from job_api.bodies.clones import clone_job, clone_run
from job_api.bodies.patches import JobPatch
from job_api.commands import respond_once
from job_api.domain import JobAction
from job_api.roles import Operator
from job_api.store import UnitOfWork
from shared.http.conditional import IfMatch, parse_if_match
from shared.http.idempotency import Idempotent, RenderedResponse
from shared.http.openapi import json_response
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

_REQUESTED: dict[str, Any] = {
    "run_id": "9a6f4a3e-0f57-5cc5-8a3e-8d3f3a0f0d5e",
    "location": "/api/v1/runs/9a6f4a3e-0f57-5cc5-8a3e-8d3f3a0f0d5e",
}
_CLONE_ERRORS = (
    ProblemType.NOT_FOUND,
    ProblemType.IDEMPOTENCY_CONFLICT,
    ProblemType.TOO_LARGE,
    ProblemType.SOURCE_NOT_OFFERED,
)
Changes = Annotated[
    JobPatch,
    Body(default_factory=JobPatch, description="changes to the settings, as a merge patch (RFC 7396)"),
]
router = create_router("/api/v1/jobs", "jobs")


class RequestedRun(BaseModel):
    """A run that was requested; it can be read and cancelled at once."""

    run_id: UUID
    location: str = Field(description="path of the run at the address of this API")


@router.post(
    "/{job_id:uuid}/suspend",
    operation_id="suspendJob",
    summary="Suspend a job",
    response_model=Job,
    responses=JOB_RESPONSE | error_responses(ProblemType.NOT_FOUND, ProblemType.LOST_UPDATE),
)
async def suspend_job(
    identity: Operator, *, job_id: UUID, units: Units, jobs: Jobs, responder: Responder, if_match: IfMatch = None
) -> Response:
    """Stop a job's future slots; a run in progress continues, and slots that pass meanwhile never run.

    Repeating it changes nothing.
    """
    versions = parse_if_match(if_match)
    async with units.begin(identity) as work:
        view = await jobs.switch(work, job_id, JobAction.SUSPEND, versions=versions)
    return responder.respond(view)


@router.post(
    "/{job_id:uuid}/resume",
    operation_id="resumeJob",
    summary="Resume a job",
    response_model=Job,
    responses=JOB_RESPONSE
    | error_responses(ProblemType.NOT_FOUND, ProblemType.LOST_UPDATE, ProblemType.ONE_TIME_NOT_RESUMABLE),
)
async def resume_job(
    identity: Operator, *, job_id: UUID, units: Units, jobs: Jobs, responder: Responder, if_match: IfMatch = None
) -> Response:
    """Let a suspended job run at its future slots; a one-time job stays suspended after its start.

    Repeating it changes nothing.
    """
    versions = parse_if_match(if_match)
    async with units.begin(identity) as work:
        view = await jobs.switch(work, job_id, JobAction.RESUME, versions=versions)
    return responder.respond(view)


@router.post(
    "/{job_id:uuid}/run",
    operation_id="runJob",
    summary="Run a job now",
    status_code=202,
    response_model=RequestedRun,
    responses=json_response(_REQUESTED, status=202, headers=("Location",))
    | error_responses(ProblemType.NOT_FOUND, ProblemType.IDEMPOTENCY_CONFLICT, ProblemType.ONE_TIME_NOT_RUN_NOW),
)
async def run_job(identity: Operator, *, job_id: UUID, request: Idempotent, units: Units, jobs: Jobs) -> Response:
    """Request a run at once, whether the job is active or suspended; its schedule stays as it is (S10)."""

    async def request_run(work: UnitOfWork) -> RenderedResponse:
        run_id = await jobs.run_now(work, job_id)
        location = f"/api/v1/runs/{run_id}"
        body = {"run_id": str(run_id), "location": location}
        return RenderedResponse(body, status=202, headers={"Location": location})

    return await respond_once(units, identity, request, command=request_run)


@router.post(
    "/{job_id:uuid}/clone",
    operation_id="cloneJob",
    summary="Clone a job",
    status_code=201,
    response_model=Job,
    responses=CREATED_RESPONSE | error_responses(*_CLONE_ERRORS),
)
async def clone_job_with_changes(
    identity: Operator, *, job_id: UUID, changes: Changes, request: Idempotent, units: Units, jobs: Jobs
) -> Response:
    """Create a job from another's settings, with changes; a job that started immediately does so again."""

    async def clone(work: UnitOfWork) -> RenderedResponse:
        return render_created_job(await jobs.clone(work, job_id, lambda job: clone_job(job, changes)))

    return await respond_once(units, identity, request, command=clone)


@router.post(
    "/from-run/{run_id:uuid}",
    operation_id="cloneRun",
    summary="Create a job from a run's settings",
    status_code=201,
    response_model=Job,
    responses=CREATED_RESPONSE | error_responses(*_CLONE_ERRORS, ProblemType.HISTORY_UNAVAILABLE),
)
async def clone_run_with_changes(
    identity: Operator,
    *,
    run_id: UUID,
    changes: Changes,
    request: Idempotent,
    http_request: Request,
    history: History,
    units: Units,
    jobs: Jobs,
) -> Response:
    """Create a job with the frozen settings of a run, even if its job has been changed or deleted since.

    It runs once, immediately, unless changed.
    """
    settings = await history.fetch_run_settings(run_id, http_request)

    async def clone(work: UnitOfWork) -> RenderedResponse:
        return render_created_job(await jobs.create(work, clone_run(settings, changes)))

    return await respond_once(units, identity, request, command=clone)
