"""The read model of runs, built from triggers, run events and estimates."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from job_api.domain import Job
from job_api.store.database import SQL, select_fields
from shared.events import RunEstimated, RunEvent, SlotTriggered
from shared.events.runs import RunQueued, RunSkipped
from shared.events.values import RecordType, RunState
from shared.postgres import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedRun:
    """A run requested now that has not ended; `slot` is the instant of the request."""

    run_id: UUID
    job_id: UUID
    title: str
    source: str
    type: RecordType
    state: RunState
    slot: datetime
    started_at: datetime | None


async def insert(database: Connection, event: SlotTriggered | RunQueued | RunSkipped) -> None:
    """Store a run as queued, unless it is known or its job has been deleted."""
    await database.execute(SQL["insert_run"], event.run_id, event.job_id, event.slot, event.cause, event.tenant_id)
    if event.cause == "run-now":
        # A requested run is known already; the scheduler decides its slot.
        await database.execute(SQL["update_slot"], event.run_id, event.slot, event.tenant_id)


async def insert_requested(database: Connection, run_id: UUID, job: Job, *, at: datetime) -> None:
    """Store a run requested now as queued."""
    await database.execute(SQL["insert_run"], run_id, job.job_id, at, "run-now", job.tenant_id)


async def find_requested(database: Connection, tenant_id: UUID, run_id: UUID) -> RequestedRun | None:
    """Return a run that was requested now and has not ended, or None."""
    row = await database.fetchrow(SQL["requested_run"], tenant_id, run_id)
    return RequestedRun(**select_fields(row, RequestedRun)) if row is not None else None


async def apply_event(database: Connection, event: RunEvent, state: RunState, *, message: str | None) -> bool:
    """Apply an event to its run; return False if it is old, a duplicate, or of an unknown run."""
    statement = SQL.bind(
        "apply_run_event",
        run_id=event.run_id,
        tenant_id=event.tenant_id,
        token=event.token,
        seq=event.seq,
        state=state,
        at=event.at,
        message=message,
    )
    return await database.fetchval(*statement) is not None


async def apply_estimate(database: Connection, event: RunEstimated) -> None:
    """Apply an estimate to its run, unless the run has ended."""
    statement = SQL.bind(
        "apply_estimate",
        run_id=event.run_id,
        tenant_id=event.tenant_id,
        token=event.token,
        seq=event.seq,
        at=event.at,
        progress=event.progress,
        eta_seconds=event.eta_seconds,
        eta_low=event.eta_low,
        eta_high=event.eta_high,
    )
    await database.execute(*statement)


async def update_latest_run(database: Connection, tenant_id: UUID, job_id: UUID) -> None:
    """Bring the job's latest run, status and last run up to date."""
    await database.execute(SQL["update_latest_run"], tenant_id, job_id)


async def update_next_run(
    database: Connection, job_id: UUID, at: datetime | None, *, tenant_id: UUID, version: int
) -> None:
    """Set when the job is next due, unless it has changed since `version`."""
    await database.execute(SQL["update_next_run"], tenant_id, job_id, at, version)


async def count_failure(database: Connection, tenant_id: UUID, job_id: UUID) -> int:
    """Count a failed run; return the number of consecutive failures, 0 for an unknown job."""
    count: int | None = await database.fetchval(SQL["count_failure"], tenant_id, job_id)
    return count or 0


async def reset_failures(database: Connection, tenant_id: UUID, job_id: UUID) -> None:
    """Reset the number of consecutive failures after a successful run."""
    await database.execute(SQL["reset_failures"], tenant_id, job_id)
