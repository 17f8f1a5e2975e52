"""The read model of runs: what triggers, runs and estimates say of jobs."""

from datetime import datetime
from uuid import UUID

from job_api.store.database import SQL
from shared.events import RunEstimated, RunEvent, SlotTriggered
from shared.events.runs import RunQueued, RunSkipped
from shared.events.values import RunState
from shared.postgres import Connection


async def insert(database: Connection, event: SlotTriggered | RunQueued | RunSkipped) -> None:
    """Note a run as queued, unless it is known or its job is gone."""
    await database.execute(SQL["insert_run"], event.run_id, event.job_id, event.slot, event.cause, event.tenant_id)


async def move(database: Connection, event: RunEvent, state: RunState, message: str | None) -> bool:
    """Take an event of a run; return False for one that is old, doubled, or of a run that is not shown."""
    moved = await database.fetchval(
        SQL["move_run"], event.run_id, event.token, event.seq, state, event.at, message, event.tenant_id
    )
    return moved is not None


async def estimate(database: Connection, event: RunEstimated) -> None:
    """Take an estimate of a run that has not ended."""
    await database.execute(
        SQL["estimate_run"],
        event.run_id,
        event.token,
        event.seq,
        event.at,
        event.progress,
        event.eta_seconds,
        event.eta_low,
        event.eta_high,
        event.tenant_id,
    )


async def show_latest(database: Connection, tenant_id: UUID, job_id: UUID) -> None:
    """Let the list of jobs show the job's latest run."""
    await database.execute(SQL["show_latest_run"], tenant_id, job_id)


async def show_next(database: Connection, tenant_id: UUID, job_id: UUID, at: datetime | None, version: int) -> None:
    """Let the list of jobs show when the job is due next, unless it has changed since `version`."""
    await database.execute(SQL["show_next_run"], tenant_id, job_id, at, version)


async def count_failure(database: Connection, tenant_id: UUID, job_id: UUID) -> int:
    """Count a failed run; return how many there are in a row."""
    count: int | None = await database.fetchval(SQL["count_failure"], tenant_id, job_id)
    return count or 0


async def forget_failures(database: Connection, tenant_id: UUID, job_id: UUID) -> None:
    """Begin counting anew: a run has succeeded."""
    await database.execute(SQL["forget_failures"], tenant_id, job_id)
