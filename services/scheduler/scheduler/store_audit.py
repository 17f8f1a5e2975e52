"""The auditor's position, and its reads: all of one batch from one snapshot."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from scheduler.domain import JobVersion
from scheduler.store import SQL, to_version
from shared.postgres import Connection, Pool, connection


@dataclass(frozen=True, slots=True)
class RecordedSlot:
    """A slot in the ledger."""

    at: datetime
    run_id: UUID
    version: int
    fate: str
    reason: str


@dataclass(frozen=True, slots=True)
class AuditBatch:
    """Some jobs and their slots in [slots_from, slots_to) in the ledger, by job.

    `superseded` are the versions of these jobs that were in force during that time and no longer are.
    """

    slots_from: datetime
    slots_to: datetime
    current: Sequence[JobVersion]
    superseded: Sequence[JobVersion]
    ledger: Mapping[UUID, Sequence[RecordedSlot]]


class AuditStore:
    """The auditor's tables."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def open_batch(self, jobs: int, *, pause: timedelta) -> AsyncIterator[AuditBatch | None]:
        """Read the next batch of at most `jobs` jobs; it counts as audited when the block ends without an error.

        It is None while another scheduler is auditing, and until `pause` after the last round. Raises
        PostgresUnavailable.
        """
        async with connection(self._pool) as database:
            await database.execute(SQL["begin_audit"])
            async with database.transaction(isolation="repeatable_read"):
                yield await self._read_batch(database, jobs, pause)

    async def skip_job(self) -> UUID | None:
        """Move the position past the next job; return its id. Raises PostgresUnavailable."""
        async with connection(self._pool) as database:
            job_id: UUID | None = await database.fetchval(SQL["skip_audit"])
        return job_id

    async def _read_batch(self, database: Connection, jobs: int, pause: timedelta) -> AuditBatch | None:
        position = await database.fetchrow(SQL["lock_audit"])
        if position is None:
            return None
        bounds = position["slots_from"], position["slots_to"]
        current = [to_version(row) for row in await database.fetch(SQL["audited_jobs"], position["after_job"], jobs)]
        ids = [version.job_id for version in current]
        superseded = [to_version(row) for row in await database.fetch(SQL["audited_superseded"], ids, bounds[0])]
        ledger: dict[UUID, list[RecordedSlot]] = {}
        for row in await database.fetch(SQL["audited_slots"], ids, *bounds):
            slot = RecordedSlot(row["at"], row["run_id"], row["version"], row["fate"], row["reason"])
            ledger.setdefault(row["job_id"], []).append(slot)
        if len(current) < jobs:
            await database.execute(SQL["end_audit"], pause)
        else:
            await database.execute(SQL["move_audit"], ids[-1])
        return AuditBatch(*bounds, current, superseded, ledger)
