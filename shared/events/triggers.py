"""`sluice.triggers`: the fate of each slot."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.values import JobSettings, Overlap, SlotCause, SlotSkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTriggered:
    """A slot is due: run the job with these settings."""

    job_id: UUID
    """The job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    run_id: UUID
    """The run to start; derived from job and slot, so repeating the trigger does not start a second run."""
    slot: datetime
    """The instant at which the job was due, not the time of sending (rule S11)."""
    cause: SlotCause
    """Why the slot was due."""
    job_version: int
    """The job's version when the slot was decided."""
    settings: JobSettings
    """The job's settings when the slot was decided; later edits do not affect the run (rule J10)."""
    overlap: Overlap
    """What happens when the job's previous run is still in progress (rule S9)."""
    triggered_at: datetime
    """When the scheduler decided the slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSkipped:
    """A slot was skipped: no run is started for it."""

    job_id: UUID
    """The job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    run_id: UUID
    """The run that the slot would have had; derived from job and slot."""
    slot: datetime
    """The instant at which the job was due."""
    reason: SlotSkipReason
    """Why the slot was skipped (rule S7)."""
    job_version: int
    """The job's version when the slot was decided."""
    skipped_at: datetime
    """When the scheduler decided the slot."""
