"""`/api/v1/jobs/{id}/suspend` and `/resume`: the slider."""

from uuid import UUID

from fastapi import APIRouter, Response

from job_api.api.jobs import TAGGED, tagged
from job_api.api.requests import IfMatch, versions
from job_api.api.roles import Writer
from job_api.api.views import JobOut
from job_api.domain import Command
from job_api.service import Jobs
from shared.clock import Clock
from shared.web import problem_responses


def switch_routes(jobs: Jobs, clock: Clock) -> APIRouter:
    """Return the routes that suspend and resume jobs."""
    routes = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

    @routes.post(
        "/{job_id}/suspend",
        operation_id="suspendJob",
        summary="Stop a job's slots to come; a run in progress goes on",
        responses=TAGGED | problem_responses(404, 412),
    )
    async def suspend(who: Writer, job_id: UUID, response: Response, if_match: IfMatch = None) -> JobOut:
        view = await jobs.switch(who, job_id, Command.SUSPEND, versions=versions(if_match))
        return tagged(view, response, clock.now())

    @routes.post(
        "/{job_id}/resume",
        operation_id="resumeJob",
        summary="Let a suspended job run again at its slots to come",
        responses=TAGGED | problem_responses(404, 409, 412),
    )
    async def resume(who: Writer, job_id: UUID, response: Response, if_match: IfMatch = None) -> JobOut:
        view = await jobs.switch(who, job_id, Command.RESUME, versions=versions(if_match))
        return tagged(view, response, clock.now())

    return routes
