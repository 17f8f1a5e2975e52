"""`sluice.jobs`: the complete job after each change."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.values import CatchUp, JobSettings, JobState, Overlap, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSaved:
    """The complete state of a job after a change."""

    job_id: UUID
    """The job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    version: int
    """Rises by one with each change; a lower version never replaces a higher one."""
    state: JobState
    """`active`: slots are triggered. `suspended`: they are skipped."""
    state_reason: str | None
    """Why the job is suspended, where the system suspended it."""
    description: str
    """The job's description; empty when it has none."""
    settings: JobSettings
    """What the job exports and how."""
    schedule: Schedule
    """When the job is due."""
    catch_up: CatchUp
    """Which slots run that were missed while no scheduler ran (rule S8)."""
    overlap: Overlap
    """What happens to a slot that is due while the job's previous run is still in progress (rule S9)."""
    saved_at: datetime
    """When the change was saved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobDeleted:
    """The job was deleted, for good: job ids are never reused. Followed by a tombstone after 90 days."""

    job_id: UUID
    """The job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belonged to."""
    version: int
    """Higher than every version of the job."""
    deleted_at: datetime
    """When the job was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTombstone:
    """The job was deleted long ago: a message without a value, so that compaction removes the job's key."""

    job_id: UUID
    """The job: the message's key."""
