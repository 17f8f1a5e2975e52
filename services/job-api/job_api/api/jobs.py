"""`/api/v1/jobs`."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Request
from pydantic import Field
from pydantic_core import to_jsonable_python
from starlette.responses import Response

from job_api.api.documents import Shown, job_document, json_of
from job_api.api.drafts import JobDraft, document_of, patched
from job_api.api.problems import refused
from job_api.api.requests import (
    IfMatch,
    answered,
    asked,
    etag,
    once,
    parameters_of,
    seen,
)
from job_api.api.views import JobOut, JobPage
from job_api.list_query import SORT_WORDS, ListQuery, Text, When
from job_api.roles import Reader, Writer
from job_api.service import Jobs
from job_api.store import JobView, Once
from job_api.store.change import Answer
from job_api.store.lists import JOBS
from shared.clock import Clock
from shared.events.values import JobState, RecordType, ScheduleKind

Creating = Annotated[Once, Depends(once("create-job"))]
Sort = Literal["created_at", "title", "source", "type", "schedule", "state", "status", "last_run", "next_run"]
Descending = Literal[
    "-created_at", "-title", "-source", "-type", "-schedule", "-state", "-status", "-last_run", "-next_run"
]
Status = Literal["none", "queued", "running", "succeeded", "failed", "cancelled", "skipped"]
TAGGED: dict[int | str, dict[str, Any]] = {
    200: {"headers": {"ETag": {"description": "the job's version", "schema": {"type": "string"}}}}
}


class JobQuery(ListQuery):
    """Which jobs to list, and how."""

    listing: ClassVar = JOBS

    sort: Sort | Descending = Field("-created_at", description=SORT_WORDS)
    state: JobState | None = Field(None, description="whether slots to come will run")
    status: Status | None = Field(None, description="of the latest run; `none` where there was none yet")
    type: RecordType | None = Field(None, description="of the records")
    source: str | None = Field(None, max_length=100, pattern=r"^[^\x00]*$", description="where they come from")
    schedule: ScheduleKind | None = Field(None, description="how often the job runs")
    last_run_from: When | None = Field(None, description="ran last at this instant or later")
    next_run_until: When | None = Field(None, description="is due next before this instant")
    search: Text | None = Field(None, description="in title and text")


def tagged(view: JobView, now: datetime) -> Response:
    """Return a job as it is answered, its version in the ETag."""
    return json_of(job_document(view, now), headers={"ETag": etag(view.job.version)})


def made(view: JobView) -> Answer:
    """Return the answer to what made a job."""
    body = to_jsonable_python(job_document(view, view.job.created_at))
    headers = {"ETag": etag(view.job.version), "Location": f"/api/v1/jobs/{view.job.job_id}"}
    return {"status": 201, "headers": headers, "body": body}


def job_routes(jobs: Jobs, clock: Clock) -> APIRouter:
    """Return the routes of jobs."""
    routes, shown = APIRouter(prefix="/api/v1/jobs", tags=["jobs"]), Shown()

    @routes.post(
        "",
        operation_id="createJob",
        summary="Make a job",
        status_code=201,
        response_model=JobOut,
        responses=refused(409, 413),
    )
    async def create(who: Writer, draft: JobDraft, once: Creating) -> Response:
        """Make a job. One that runs once and starts immediately is suspended from the start, for good (J6)."""
        return answered(await jobs.create(who, draft.to_domain(), once, made))

    @routes.get(
        "",
        operation_id="listJobs",
        summary="List jobs, a page at a time",
        response_model=JobPage,
        responses=refused(),
        openapi_extra={"parameters": parameters_of(JobQuery)},
    )
    async def index(who: Reader, request: Request) -> Response:
        """Return a page of jobs with the latest run of each, filtered and sorted here; `next` leads on."""
        query = asked(JobQuery, request)
        page = await jobs.page(who, query.to_wish())
        return shown.page(page.items, query.next_of(page), clock.now())

    @routes.get(
        "/{job_id:uuid}",
        operation_id="getJob",
        summary="Read a job",
        response_model=JobOut,
        responses=TAGGED | refused(404),
    )
    async def read(who: Reader, job_id: UUID) -> Response:
        """Return a job with its latest run, what cannot be done with it now and why, and its version as ETag."""
        view = await jobs.get(who, job_id)
        headers = {"ETag": etag(view.job.version)}
        return Response(shown.json(view, clock.now()), headers=headers, media_type="application/json")

    @routes.put(
        "/{job_id:uuid}",
        operation_id="replaceJob",
        summary="Replace a job's settings",
        response_model=JobOut,
        responses=TAGGED | refused(404, 409, 412, 413, 428),
    )
    async def replace(who: Writer, job_id: UUID, draft: JobDraft, if_match: IfMatch = None) -> Response:
        """Replace all settings of a repeated job; `If-Match` names the version seen. Runs go on as they are."""
        view = await jobs.edit(who, job_id, versions=seen(if_match), redraft=lambda _: draft.to_domain())
        return tagged(view, clock.now())

    @routes.patch(
        "/{job_id:uuid}",
        operation_id="patchJob",
        summary="Change some of a job's settings (merge patch, RFC 7396)",
        response_model=JobOut,
        responses=TAGGED | refused(404, 409, 412, 413, 428),
    )
    async def patch(
        who: Writer,
        job_id: UUID,
        changes: Annotated[dict[str, Any], Body(examples=[{"title": "Renamed", "split_size": None}])],
        if_match: IfMatch = None,
    ) -> Response:
        """Change the settings that the merge patch names; null puts one back to its default. `If-Match` as for PUT."""
        view = await jobs.edit(
            who, job_id, versions=seen(if_match), redraft=lambda job: patched(document_of(job), changes)
        )
        return tagged(view, clock.now())

    @routes.delete(
        "/{job_id:uuid}",
        operation_id="deleteJob",
        summary="Delete a job that has no run in progress; its runs and files stay until their time is over",
        status_code=204,
        responses=refused(404, 409, 412, 428),
    )
    async def delete(who: Writer, job_id: UUID, if_match: IfMatch = None) -> None:
        """Delete a job. While a run is queued or running it is refused, naming the run and how to cancel it."""
        await jobs.delete(who, job_id, versions=seen(if_match))

    return routes
