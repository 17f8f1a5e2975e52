"""`/api/v1/jobs/{id}/suspend`, `/resume` and `/run`: the slider, and a run beside the schedule."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from job_api.api.jobs import TAGGED, tagged
from job_api.api.problems import refused
from job_api.api.requests import IfMatch, answered, once, versions
from job_api.api.views import JobOut
from job_api.domain import Command
from job_api.roles import Writer
from job_api.service import Jobs
from job_api.store import Once
from job_api.store.change import Answer
from shared.clock import Clock

Running = Annotated[Once, Depends(once("run-job"))]
_ASKED: dict[str, Any] = {
    "run_id": "9a6f4a3e-0f57-5cc5-8a3e-8d3f3a0f0d5e",
    "location": "/api/v1/runs/9a6f4a3e-0f57-5cc5-8a3e-8d3f3a0f0d5e",
}


class RunAsked(BaseModel):
    """A run that was asked for; it is in the history as soon as the scheduler has taken the request."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ASKED]})

    run_id: UUID
    location: str


def switch_routes(jobs: Jobs, clock: Clock) -> APIRouter:
    """Return the routes that suspend and resume jobs."""
    routes = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

    @routes.post(
        "/{job_id:uuid}/suspend",
        operation_id="suspendJob",
        summary="Stop a job's slots to come; a run in progress goes on",
        response_model=JobOut,
        responses=TAGGED | refused(404, 412),
    )
    async def suspend(who: Writer, job_id: UUID, if_match: IfMatch = None) -> Response:
        """Suspend a job; again changes nothing. Slots that pass meanwhile are never run."""
        view = await jobs.switch(who, job_id, Command.SUSPEND, versions=versions(if_match))
        return tagged(view, clock.now())

    @routes.post(
        "/{job_id:uuid}/resume",
        operation_id="resumeJob",
        summary="Let a suspended job run again at its slots to come",
        response_model=JobOut,
        responses=TAGGED | refused(404, 409, 412),
    )
    async def resume(who: Writer, job_id: UUID, if_match: IfMatch = None) -> Response:
        """Resume a job; again changes nothing. A job that runs once and has had its start stays suspended."""
        view = await jobs.switch(who, job_id, Command.RESUME, versions=versions(if_match))
        return tagged(view, clock.now())

    def asked(run_id: UUID) -> Answer:
        location = f"/api/v1/runs/{run_id}"
        return {"status": 202, "headers": {"Location": location}, "body": {"run_id": str(run_id), "location": location}}

    @routes.post(
        "/{job_id:uuid}/run",
        operation_id="runJob",
        summary="Run a job now, suspended or not, and leave its schedule alone; not for jobs that run once",
        status_code=202,
        response_model=RunAsked,
        responses=refused(404, 409),
    )
    async def run(who: Writer, job_id: UUID, once: Running) -> Response:
        """Ask for a run at once; the answer names it before the scheduler has taken the request."""
        return answered(await jobs.run_now(who, job_id, once, asked))

    return routes
