"""`/api/v1/jobs/preview` and `/estimate`: the next slots and the size of a job before it is saved (rule J12)."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from job_api.api.services import Estimator, Jobs
from job_api.bodies.drafts import JobDraft, ScheduleBody
from job_api.bodies.fields import Body
from job_api.domain import ScheduleDraft
from job_api.domain.schedules import describe_schedule
from job_api.domain.sizes import find_size_warning
from job_api.roles import Reader
from shared.http.openapi import json_response
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

_PREVIEW_REQUEST: dict[str, Any] = {
    "schedule": {"kind": "hourly", "every": 4, "start": "2027-01-04T06:00:00Z"},
    "count": 5,
}
_PREVIEW: dict[str, Any] = {
    "schedule_words": "every 4 hours from 00:00 UTC",
    "slots": ["2027-01-04T08:00:00Z", "2027-01-04T12:00:00Z", "2027-01-04T16:00:00Z"],
}
_ESTIMATE: dict[str, Any] = {
    "rows": 200000,
    "attachments": 30000,
    "bytes": 283115520,
    "reason": None,
    "warning": None,
}
router = create_router("/api/v1/jobs", "jobs")


class PreviewBody(Body):
    """An unsaved schedule."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [_PREVIEW_REQUEST]})

    schedule: ScheduleBody
    count: int = Field(default=5, strict=True, ge=1, le=100, description="how many slots to return")


class SchedulePreview(BaseModel):
    """The next slots of a schedule, fewer than requested if it ends."""

    schedule_words: str = Field(description="the schedule in words")
    slots: list[datetime]


class SizeEstimate(BaseModel):
    """The approximate number of records and of their uncompressed bytes; null if unknown, with the reason."""

    rows: int | None = Field(description="approximate number of interactions or contacts")
    attachments: int | None = Field(description="approximate number of the interactions' attachments")
    bytes: int | None = Field(description="approximate uncompressed bytes, attachments included")
    reason: str | None = Field(description="why the size is unknown")
    warning: str | None = Field(description="set if a single file would be too large for OpenSSL's command")


@router.post(
    "/preview",
    operation_id="previewSchedule",
    summary="Preview a schedule",
    responses=json_response(_PREVIEW) | error_responses(ProblemType.TOO_LARGE),
)
async def preview_schedule(identity: Reader, body: PreviewBody, jobs: Jobs) -> SchedulePreview:
    """Return the next slots of an unsaved schedule, in UTC."""
    schedule, slots = jobs.preview(ScheduleDraft(**body.schedule.model_dump()), body.count)
    return SchedulePreview(schedule_words=describe_schedule(schedule), slots=slots)


@router.post(
    "/estimate",
    operation_id="estimateJob",
    summary="Estimate the size of a job",
    responses=json_response(_ESTIMATE) | error_responses(ProblemType.TOO_LARGE, ProblemType.SOURCE_NOT_OFFERED),
)
async def estimate_job(identity: Reader, *, draft: JobDraft, jobs: Jobs, estimator: Estimator) -> SizeEstimate:
    """Estimate the records and bytes of an unsaved job from the source's statistics, within two seconds."""
    valid = await jobs.validate(identity, draft.to_domain())
    found = await estimator.estimate(valid.settings)
    warning = find_size_warning(draft.split_size, found.bytes, attachments=found.attachment_bytes)
    return SizeEstimate(
        rows=found.rows, attachments=found.attachments, bytes=found.bytes, reason=found.reason, warning=warning
    )
