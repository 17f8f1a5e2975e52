"""`sluice.jobs`: the whole job after each change."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.values import CatchUp, JobSettings, JobState, Overlap, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSaved:
    """A job as it stands after a change; `version` rises by one with each."""

    job_id: UUID
    tenant_id: UUID
    version: int
    state: JobState
    state_reason: str | None
    description: str
    settings: JobSettings
    schedule: Schedule
    catch_up: CatchUp
    overlap: Overlap
    saved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDeleted:
    """The job is gone; on the wire a tombstone, so that compaction forgets it. Job ids are never used again."""

    job_id: UUID
