"""What is answered about jobs."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from job_api import domain
from job_api.api.drafts import ScheduleBody, TimeframeBody, schedule_body, timeframe_body
from job_api.domain.jobs import StateReason
from job_api.domain.schedules import in_words
from job_api.store import JobView, RunSummary
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

    @classmethod
    def of(cls, run: RunSummary) -> "RunOut":
        """Return a run as it is answered."""
        return cls(
            id=run.run_id,
            state=run.state,
            slot=run.slot,
            started_at=run.started_at,
            ended_at=run.ended_at,
            message=run.message,
            progress=run.progress,
            eta_seconds=run.eta_seconds,
            eta_low=run.eta_low,
            eta_high=run.eta_high,
            estimated_at=run.estimated_at,
        )


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

    @classmethod
    def of(cls, view: JobView, now: datetime) -> "JobOut":
        """Return a job as it is answered."""
        job, settings = view.job, view.job.settings
        return cls(
            id=job.job_id,
            version=job.version,
            title=settings.title,
            description=job.description,
            source=settings.source,
            type=settings.type,
            media_types=settings.media_types,
            schedule=ScheduleOut(**schedule_body(job.schedule).model_dump()),
            schedule_words=in_words(job.schedule),
            timeframe=TimeframeOut(**timeframe_body(settings.timeframe).model_dump()),
            split_size=settings.split_size,
            certificates=settings.certificates,
            compression=settings.compression,
            cipher=settings.cipher,
            catch_up=job.catch_up,
            overlap=job.overlap,
            attempts=settings.attempts,
            state=job.state,
            state_reason=job.state_reason,
            next_run_at=view.next_run_at,
            last_run_at=view.last_run_at,
            latest_run=RunOut.of(view.latest) if view.latest else None,
            refusals=refusals(view, now),
            created_at=job.created_at,
            saved_at=job.saved_at,
        )


class JobPage(BaseModel):
    """A page of jobs; `next` is the cursor of the one after, null on the last."""

    items: list[JobOut]
    next: str | None


def refusals(view: JobView, now: datetime) -> dict[str, str]:
    """Return what cannot be done with a job now, and why."""
    busy = view.latest.run_id if view.latest is not None and view.latest.busy else None
    found = {command: domain.stopper(view.job, command, now=now, busy=busy) for command in domain.Command}
    return {command.value: refusal.detail for command, refusal in found.items() if refusal is not None}
