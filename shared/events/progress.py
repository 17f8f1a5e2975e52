"""`sluice.progress`: how far a running run has come; each message supersedes the one before."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.values import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgressed:
    """Rows (`units_*`) and uncompressed bytes done; `total_exact` False while the total is the planner's estimate.

    `slices` are pairs of rows done and total, where a run is shared by several exporters.
    """

    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    token: int
    seq: int
    at: datetime
    phase: Phase
    units_done: int
    units_total: int | None
    total_exact: bool
    bytes_done: int
    slices: tuple[tuple[int, int], ...] | None = None
