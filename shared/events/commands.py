"""`sluice.commands`: what somebody asks for: a run at once, or the end of one."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.values import JobSettings, Overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRun:
    """Cancel this run, wherever it is; asking twice does no harm."""

    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    reason: str
    requested_by: UUID | None
    requested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNow:
    """Run this job at once, beside its schedule (S10), with the settings that it had when it was asked.

    The run's id is derived from the request's (`shared.timetable.derive_request_run_id`): asking twice with one
    `request_id` makes one run.
    """

    job_id: UUID
    tenant_id: UUID
    request_id: UUID
    job_version: int
    settings: JobSettings
    overlap: Overlap
    requested_by: UUID | None
    requested_at: datetime
