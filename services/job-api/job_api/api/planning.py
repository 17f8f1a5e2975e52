"""Looking ahead before saving (J12): the next slots of a schedule, and about how much an export would be."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from job_api.api.drafts import Body, JobDraft, ScheduleBody
from job_api.api.problems import refused
from job_api.api.views import UtcInstant
from job_api.domain import ScheduleDraft
from job_api.domain.schedules import in_words
from job_api.domain.sizes import size_warning
from job_api.roles import Reader
from job_api.service import Estimates, Jobs

_PREVIEW: dict[str, Any] = {"schedule": {"kind": "hourly", "every": 4, "start": "2027-01-04T06:00:00Z"}, "count": 5}
_SLOTS: dict[str, Any] = {
    "words": "every 4 hours from 00:00 UTC",
    "slots": ["2027-01-04T08:00:00Z", "2027-01-04T12:00:00Z", "2027-01-04T16:00:00Z"],
}
_ESTIMATE: dict[str, Any] = {"rows": 200000, "bytes": 283115520, "reason": None, "warning": None}


class PreviewBody(Body):
    """A schedule that is not saved yet."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_PREVIEW]})

    schedule: ScheduleBody
    count: int = Field(default=5, strict=True, ge=1, le=100, description="how many slots to show")


class PreviewOut(BaseModel):
    """The next slots, fewer where the schedule ends."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SLOTS]})

    words: str
    slots: list[UtcInstant]


class EstimateOut(BaseModel):
    """About how many records and uncompressed bytes; null where it cannot be told, with the reason."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ESTIMATE]})

    rows: int | None
    bytes: int | None
    reason: str | None
    warning: str | None = Field(description="where a single file would be too large for OpenSSL's own command")


def planning_routes(jobs: Jobs, estimates: Estimates) -> APIRouter:
    """Return the routes that look ahead."""
    routes = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

    @routes.post(
        "/preview",
        operation_id="previewSchedule",
        summary="Show the next slots of a schedule that is not saved yet",
        responses=refused(413),
    )
    async def preview(who: Reader, body: PreviewBody) -> PreviewOut:
        """Return the next slots that a schedule would have, in UTC; nothing is saved."""
        schedule, slots = jobs.preview(ScheduleDraft(**body.schedule.model_dump()), body.count)
        return PreviewOut(words=in_words(schedule), slots=slots)

    @routes.post(
        "/estimate",
        operation_id="estimateJob",
        summary="Estimate rows and bytes of a job that is not saved yet, within two seconds",
        responses=refused(413),
    )
    async def estimate(who: Reader, draft: JobDraft) -> EstimateOut:
        """Estimate a job by the source's statistics; when it cannot be told in time, the answer says why."""
        found = await estimates.of((await jobs.check(who, draft.to_domain())).settings)
        warning = size_warning(draft.split_size, found.bytes)
        return EstimateOut(rows=found.rows, bytes=found.bytes, reason=found.reason, warning=warning)

    return routes
