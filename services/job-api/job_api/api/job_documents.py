"""Jobs as the API returns them, for the OpenAPI document; `job_responses` renders them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from job_api.domain.jobs import StateReason
from shared.events.values import (
    CatchUp,
    Cipher,
    Compression,
    FilterOperator,
    FilterValue,
    JobState,
    Overlap,
    RecordType,
    RunState,
    ScheduleKind,
    TimeframeKind,
    TimeUnit,
)
from shared.http.documents import TimeEstimate

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
    "filter": [{"column": "queueName", "operator": "in", "values": ["billing", "sales"], "path": []}],
    "split_size": 1073741824,
    "certificates": None,
    "compression": "fast",
    "cipher": "aes-256-cbc",
    "catch_up": "last",
    "overlap": "skip",
    "attempts": 5,
    "delivery": {
        "destinations": ["7d1f6b1a-3c52-4e0b-9a57-6f0f4f1f2a33"],
        "template": "{job}/{slot}/{file}",
        "overwrite": False,
        "within_hours": 24,
        "keep_days": None,
    },
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
        "estimate": {"seconds": 180.0, "low": 120.0, "high": 300.0, "estimated_at": "2027-01-04T06:02:10Z"},
    },
    "refusals": {
        "delete": "The run 9a6f4a3e-0f57-5cc5-8a3e-8d3f3a0f0d5e of this job is in progress: cancel it or wait for it "
        "to end, then delete the job."
    },
    "created_at": "2027-01-03T15:12:09.120000Z",
    "saved_at": "2027-01-03T15:12:09.120000Z",
}

CREATED_JOB_EXAMPLE: dict[str, Any] = JOB_EXAMPLE | {
    "version": 1,
    "next_run_at": "2027-01-04T06:00:00Z",
    "last_run_at": None,
    "latest_run": None,
    "refusals": {},
}


class LatestRun(BaseModel):
    """A job's latest run."""

    id: UUID
    state: RunState
    slot: datetime
    started_at: datetime | None
    ended_at: datetime | None
    message: str | None = Field(description="why the run failed, or why it is being retried")
    progress: float | None = Field(ge=0, le=1, description="the fraction that is done, 0 to 1; null while unknown")
    estimate: TimeEstimate | None = Field(description="null while unknown")


class JobSchedule(BaseModel):
    """A schedule; if it started immediately, `start` is the instant at which the job was saved."""

    kind: ScheduleKind
    every: int | None = Field(description="the interval in hours, days, weeks or months; null: once")
    immediately: bool
    start: datetime


class JobTimeframe(BaseModel):
    """Which records a run exports, by their date: half-open, start <= date < end."""

    kind: TimeframeKind
    start: datetime | None = Field(description="of `fixed`")
    end: datetime | None = Field(description="of `fixed`")
    count: int | None = Field(description="of `last`: the number of units before the slot")
    unit: TimeUnit | None = Field(description="of `last`")


class JobCondition(BaseModel):
    """A condition that every exported record meets."""

    column: str = Field(description="a key of the record, as in its JSON Schema")
    operator: FilterOperator
    values: list[FilterValue] = Field(description="for `range` the start and the exclusive end, null being unbounded")
    path: list[str] = Field(description="the keys that lead to a value in `allAttributes` or `attributes`")


class JobDelivery(BaseModel):
    """To which destinations a job's files are delivered, and how."""

    destinations: list[UUID]
    template: str = Field(description="the names of the objects below the destination's prefix")
    overwrite: bool = Field(description="whether an object of the same name with other content is replaced")
    within_hours: int = Field(description="for how many hours a delivery is tried again before it fails")
    keep_days: int | None = Field(
        description="days that files are kept here once all destinations have them; null: the tenant's retention"
    )


class Job(BaseModel):
    """A job."""

    id: UUID
    version: int = Field(description="rises with each change; the ETag")
    title: str
    description: str
    source: str
    type: RecordType
    media_types: list[str] | None = Field(description="null: all")
    schedule: JobSchedule
    schedule_words: str = Field(description="the schedule in words")
    timeframe: JobTimeframe
    filter: list[JobCondition] = Field(description="the conditions that every exported record meets; empty: all")
    split_size: int | None = Field(description="maximum bytes of uncompressed records per file; null: a single file")
    certificates: list[UUID] | None = Field(description="null: those active when a run starts")
    compression: Compression
    cipher: Cipher
    catch_up: CatchUp
    overlap: Overlap
    attempts: int
    delivery: JobDelivery | None = Field(description="null: files stay in Sluice's own store only")
    state: JobState
    state_reason: StateReason | None = Field(
        description="`one-time`: it has had its start; `user`: suspended by a user; `failures`: suspended after five "
        "failed runs in a row"
    )
    next_run_at: datetime | None = Field(
        description="the first slot that will run; the answer to a resumption names it, and the scheduler keeps to it"
    )
    last_run_at: datetime | None
    latest_run: LatestRun | None
    refusals: dict[str, str] = Field(
        description="the actions that would be refused now (suspend, resume, edit, run, delete), each with the reason"
    )
    created_at: datetime
    saved_at: datetime


class JobPage(BaseModel):
    """A page of jobs."""

    items: list[Job]
    next: str | None = Field(description="the cursor of the next page; null on the last")
