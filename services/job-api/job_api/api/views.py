"""What is answered about jobs, for the OpenAPI document; `documents` makes it."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from job_api.api.drafts import ScheduleBody, TimeframeBody
from job_api.domain.jobs import StateReason
from shared.events.values import CatchUp, Cipher, Compression, JobState, Overlap, RecordType, RunState

UtcInstant = Annotated[datetime, PlainSerializer(lambda at: at.isoformat().replace("+00:00", "Z"), str)]

JOB_EXAMPLE: dict[str, Any] = {
    "id": "5f0d0d1c-5a0e-4b1f-9c83-2a1d6a1f3b11",
    "version": 3,
    "title": "Nightly e-mail and chat",
    "description": "For the data warehouse",
    "source": "contact_history",
    "type": "interaction",
    "media_types": ["email", "chat"],
    "schedule": {"kind": "daily", "every": 1, "immediately": False, "start": "2027-01-04T06:00:00Z"},
    "schedule_words": "every day at 06:00 UTC",
    "timeframe": {"kind": "since_last_run", "start": None, "end": None, "count": None, "unit": None},
    "split_size": 1073741824,
    "certificates": None,
    "compression": "fast",
    "cipher": "aes-256-cbc",
    "catch_up": "last",
    "overlap": "skip",
    "attempts": 5,
    "state": "active",
    "state_reason": None,
    "next_run_at": "2027-01-05T06:00:00Z",
    "last_run_at": "2027-01-04T06:00:00.310000Z",
    "latest_run": {
        "id": "9a6f4a3e-0f57-5cc5-8a3e-8d3f3a0f0d5e",
        "state": "running",
        "slot": "2027-01-04T06:00:00Z",
        "started_at": "2027-01-04T06:00:00.310000Z",
        "ended_at": None,
        "message": None,
        "progress": 0.42,
        "eta_seconds": 180.0,
        "eta_low": 120.0,
        "eta_high": 300.0,
        "estimated_at": "2027-01-04T06:02:10Z",
    },
    "refusals": {"delete": "The run 9a6f4a3e-0f57-5cc5-8a3e-8d3f3a0f0d5e of this job is in progress: cancel it."},
    "created_at": "2027-01-03T15:12:09.120000Z",
    "saved_at": "2027-01-03T15:12:09.120000Z",
}


class RunOut(BaseModel):
    """A job's latest run: progress from 0 to 1, seconds left as a median with a 10 % to 90 % band."""

    id: UUID
    state: RunState
    slot: UtcInstant
    started_at: UtcInstant | None
    ended_at: UtcInstant | None
    message: str | None = Field(description="why it failed, or why it is tried again")
    progress: float | None
    eta_seconds: float | None
    eta_low: float | None
    eta_high: float | None
    estimated_at: UtcInstant | None


class ScheduleOut(ScheduleBody):
    """A schedule; of a job that started immediately, `start` is the instant at which it was saved."""

    start: UtcInstant


class TimeframeOut(TimeframeBody):
    """A timeframe."""

    start: UtcInstant | None
    end: UtcInstant | None


class JobOut(BaseModel):
    """A job as it stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB_EXAMPLE]})

    id: UUID
    version: int = Field(description="rises with each change; the ETag")
    title: str
    description: str
    source: str
    type: RecordType
    media_types: tuple[str, ...] | None
    schedule: ScheduleOut
    schedule_words: str
    timeframe: TimeframeOut
    split_size: int | None
    certificates: tuple[UUID, ...] | None
    compression: Compression
    cipher: Cipher
    catch_up: CatchUp
    overlap: Overlap
    attempts: int
    state: JobState
    state_reason: StateReason | None = Field(
        description="one-time: it has had its start; user: somebody suspended it; failures: five runs failed in a row"
    )
    next_run_at: UtcInstant | None
    last_run_at: UtcInstant | None
    latest_run: RunOut | None
    refusals: dict[str, str] = Field(
        description="what cannot be done with the job now (suspend, resume, edit, ...), why"
    )
    created_at: UtcInstant
    saved_at: UtcInstant


class JobPage(BaseModel):
    """A page of jobs; `next` is the cursor of the one after, null on the last."""

    items: list[JobOut]
    next: str | None
