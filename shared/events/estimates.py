"""`sluice.estimates`: the progress of each job's latest run, and the time remaining."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEstimated:
    """The latest estimate for a run in progress. Progress and time remaining are null while nothing is known."""

    job_id: UUID
    """The run's job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    run_id: UUID
    """The run."""
    token: int
    """The fencing token of the progress event behind the estimate."""
    seq: int
    """The sequence number of that progress event. Of two estimates, the one with the greater (token, seq) is newer."""
    at: datetime
    """When the estimate was made; the time remaining counts from here."""
    progress: float | None
    """The fraction of the run that is done, 0 to 1."""
    eta_seconds: float | None
    """Seconds until the run ends: the median."""
    eta_low: float | None
    """Seconds until the run ends: the 10th percentile."""
    eta_high: float | None
    """Seconds until the run ends: the 90th percentile."""
