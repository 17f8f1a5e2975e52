"""`sluice.commands`: requests to cancel a run, to run a job at once, to retry or cancel a delivery."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.values import JobSettings, Overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRun:
    """Cancel a run, queued or running. Repeating the command has no further effect."""

    job_id: UUID
    """The run's job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    run_id: UUID
    """The run to cancel."""
    reason: str
    """Why the run is to be cancelled."""
    requested_by: UUID | None
    """The user who requested it; null when no user did."""
    requested_at: datetime
    """When it was requested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNow:
    """Run a job at once, without regard to its schedule (rule S10).

    The run's id is derived from the request's id, so repeating the command does not start a second run.
    """

    job_id: UUID
    """The job to run; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    request_id: UUID
    """The request; the run's id is derived from it."""
    job_version: int
    """The job's version at the time of the request."""
    settings: JobSettings
    """The job's settings at the time of the request, with which the run is carried out."""
    overlap: Overlap
    """What happens when the job's previous run is still in progress (rule S9)."""
    requested_by: UUID | None
    """The user who requested the run; null when no user did."""
    requested_at: datetime
    """When the run was requested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryDelivery:
    """Deliver again what failed or was cancelled (rule D6). Repeating the command has no further effect."""

    job_id: UUID
    """The run's job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    run_id: UUID
    """The run whose files are to be delivered."""
    delivery_id: UUID
    """The delivery to retry."""
    requested_by: UUID | None
    """The user who requested it; null when no user did."""
    requested_at: datetime
    """When it was requested; a request that is not later than the last one carried out has no effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelDelivery:
    """Cancel a delivery, pending or in progress. Repeating the command has no further effect."""

    job_id: UUID
    """The run's job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    run_id: UUID
    """The run whose files are delivered."""
    delivery_id: UUID
    """The delivery to cancel."""
    requested_by: UUID | None
    """The user who requested it; null when no user did."""
    requested_at: datetime
    """When it was requested; a request that is not later than the last one carried out has no effect."""
