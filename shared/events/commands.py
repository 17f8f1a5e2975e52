"""`sluice.commands`: what somebody asks of a run."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRun:
    """Cancel this run, wherever it is; asking twice does no harm."""

    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    reason: str
    requested_by: UUID | None
    requested_at: datetime
