"""`sluice.estimates`: when the latest run of a job will be done."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEstimated:
    """Progress (0 to 1) and seconds left: a median with its 10 % to 90 % band; all None when nothing can be known."""

    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    token: int
    seq: int
    at: datetime
    progress: float | None
    eta_seconds: float | None
    eta_low: float | None
    eta_high: float | None
