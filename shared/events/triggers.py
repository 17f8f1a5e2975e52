"""`sluice.triggers`: the fate of each slot."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.values import JobSettings, Overlap, SlotCause, SlotSkipReason


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTriggered:
    """Run this job for this slot; `slot` is the instant that was due, not the time of sending."""

    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    slot: datetime
    cause: SlotCause
    job_version: int
    settings: JobSettings
    overlap: Overlap
    triggered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSkipped:
    """This slot will not run, and why."""

    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    slot: datetime
    reason: SlotSkipReason
    job_version: int
    skipped_at: datetime
