"""`/api/v1/jobs`: creating, listing, reading, changing and deleting jobs."""

from uuid import UUID

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from job_api.api.job_documents import CREATED_JOB_EXAMPLE, JOB_EXAMPLE, Job, JobPage
from job_api.api.job_responses import render_created_job
from job_api.api.services import Jobs, Responder, Units
from job_api.bodies.drafts import JobDraft
from job_api.bodies.patches import JobPatch, patch_job
from job_api.commands import respond_once
from job_api.queries import JobQuery
from job_api.roles import Operator, Reader
from job_api.store import UnitOfWork
from shared.http.conditional import IfMatch, require_if_match
from shared.http.idempotency import Idempotent, RenderedResponse
from shared.http.openapi import json_response
from shared.http.parameters import query_parameters
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

JOB_RESPONSE = json_response(JOB_EXAMPLE, headers=("ETag",))
CREATED_RESPONSE = json_response(CREATED_JOB_EXAMPLE, status=201, headers=("ETag", "Location"))
CHANGE_ERRORS = (
    ProblemType.NOT_FOUND,
    ProblemType.LOST_UPDATE,
    ProblemType.TOO_LARGE,
    ProblemType.IF_MATCH_REQUIRED,
)
_COUNTS = {"all": 1122, "running": 3, "queued": 1, "failed": 12, "suspended": 40}
router = create_router("/api/v1/jobs", "jobs")


class JobCounts(BaseModel):
    """How many jobs there are; `running`, `queued` and `failed` count states of the latest run."""

    all: int
    running: int
    queued: int
    failed: int
    suspended: int = Field(description="jobs whose future slots are skipped")


@router.post(
    "",
    operation_id="createJob",
    summary="Create a job",
    status_code=201,
    response_model=Job,
    responses=CREATED_RESPONSE
    | error_responses(ProblemType.IDEMPOTENCY_CONFLICT, ProblemType.TOO_LARGE, ProblemType.SOURCE_NOT_OFFERED),
)
async def create_job(identity: Operator, *, draft: JobDraft, request: Idempotent, units: Units, jobs: Jobs) -> Response:
    """Create a job. A one-time job that starts immediately is created suspended, and can never be resumed (J6)."""

    async def create(work: UnitOfWork) -> RenderedResponse:
        return render_created_job(await jobs.create(work, draft.to_domain()))

    return await respond_once(units, identity, request, command=create)


@router.get(
    "",
    operation_id="listJobs",
    summary="List jobs",
    response_model=JobPage,
    responses=json_response({"items": [JOB_EXAMPLE], "next": None}) | error_responses(),
    openapi_extra=query_parameters(JobQuery),
)
async def list_jobs(identity: Reader, request: Request, responder: Responder) -> Response:
    """Return a page of jobs, each with its latest run, filtered and sorted."""
    return await responder.list_jobs(identity, request)


@router.get(
    "/counts",
    operation_id="countJobs",
    summary="Count jobs",
    responses=json_response(_COUNTS) | error_responses(),
)
async def count_jobs(identity: Reader, jobs: Jobs) -> JobCounts:
    """Count the tenant's jobs, in all and by what users look for; at most two seconds old."""
    return JobCounts(**await jobs.count_by_state(identity))


@router.get(
    "/{job_id:uuid}",
    operation_id="getJob",
    summary="Get a job",
    response_model=Job,
    responses=JOB_RESPONSE | error_responses(ProblemType.NOT_FOUND),
)
async def get_job(identity: Reader, job_id: UUID, responder: Responder) -> Response:
    """Return a job with its latest run, the actions that would be refused now, and its version as ETag."""
    return await responder.get_job(identity, job_id)


@router.put(
    "/{job_id:uuid}",
    operation_id="replaceJob",
    summary="Replace a job's settings",
    response_model=Job,
    responses=JOB_RESPONSE
    | error_responses(*CHANGE_ERRORS, ProblemType.ONE_TIME_NOT_EDITABLE, ProblemType.SOURCE_NOT_OFFERED),
)
async def replace_job(
    identity: Operator,
    *,
    job_id: UUID,
    draft: JobDraft,
    units: Units,
    jobs: Jobs,
    responder: Responder,
    if_match: IfMatch = None,
) -> Response:
    """Replace all settings of a repeated job; a run in progress keeps the settings that it started with."""
    versions = require_if_match(if_match)
    async with units.begin(identity) as work:
        view = await jobs.edit(work, job_id, versions=versions, redraft=lambda _: draft.to_domain())
    return responder.respond(view)


@router.patch(
    "/{job_id:uuid}",
    operation_id="updateJob",
    summary="Change some of a job's settings",
    response_model=Job,
    responses=JOB_RESPONSE
    | error_responses(*CHANGE_ERRORS, ProblemType.ONE_TIME_NOT_EDITABLE, ProblemType.SOURCE_NOT_OFFERED),
)
async def update_job(
    identity: Operator,
    *,
    job_id: UUID,
    patch: JobPatch,
    units: Units,
    jobs: Jobs,
    responder: Responder,
    if_match: IfMatch = None,
) -> Response:
    """Change the settings that a merge patch (RFC 7396) names; null restores a setting's default."""
    versions = require_if_match(if_match)
    async with units.begin(identity) as work:
        view = await jobs.edit(work, job_id, versions=versions, redraft=lambda job: patch_job(job, patch))
    return responder.respond(view)


@router.delete(
    "/{job_id:uuid}",
    operation_id="deleteJob",
    summary="Delete a job",
    status_code=204,
    responses=error_responses(
        ProblemType.NOT_FOUND, ProblemType.LOST_UPDATE, ProblemType.IF_MATCH_REQUIRED, ProblemType.RUN_IN_PROGRESS
    ),
)
async def delete_job(identity: Operator, *, job_id: UUID, units: Units, jobs: Jobs, if_match: IfMatch = None) -> None:
    """Delete a job that has no run in progress; its runs and files stay until they expire."""
    versions = require_if_match(if_match)
    async with units.begin(identity) as work:
        await jobs.delete(work, job_id, versions=versions)
