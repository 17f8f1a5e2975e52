"""Where the auditor stands, and what it reads: all of one piece from one snapshot."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from scheduler.domain import Version
from scheduler.store import SQL, to_version
from shared.postgres import Connection, Pool, wrap_transient_errors


@dataclass(frozen=True, slots=True)
class Recorded:
    """A slot as it stands in the ledger."""

    at: datetime
    run_id: UUID
    version: int
    fate: str
    reason: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Some jobs, and what the ledger holds of them from `slots_from` up to, without, `slots_to`.

    `past` are the versions of these jobs that ruled in that time and rule no longer.
    """

    slots_from: datetime
    slots_to: datetime
    jobs: Sequence[Version]
    past: Sequence[Version]
    ledger: Mapping[UUID, Sequence[Recorded]]


class AuditLog:
    """The auditor's row and its readings."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def next_piece(self, jobs: int, *, rest: timedelta) -> AsyncIterator[Piece | None]:
        """Give the next piece of at most `jobs` jobs; it counts as done when the block ends well.

        None when another scheduler is at it, or a round was done less than `rest` ago.
        """
        with wrap_transient_errors():
            async with self._pool.acquire() as database:
                await database.execute(SQL["begin_audit"])
                async with database.transaction(isolation="repeatable_read"):
                    yield await self._piece(database, jobs, rest)

    async def _piece(self, database: Connection, jobs: int, rest: timedelta) -> Piece | None:
        where = await database.fetchrow(SQL["lock_audit"])
        if where is None:
            return None
        versions = [to_version(row) for row in await database.fetch(SQL["audited_jobs"], where["after_job"], jobs)]
        ids = [version.job_id for version in versions]
        ledger: dict[UUID, list[Recorded]] = {}
        bounds = where["slots_from"], where["slots_to"]
        past = [to_version(row) for row in await database.fetch(SQL["audited_past"], ids, where["slots_from"])]
        for job_id, *rest_of_row in await database.fetch(SQL["audited_slots"], ids, *bounds):
            ledger.setdefault(job_id, []).append(Recorded(*rest_of_row))
        if len(versions) < jobs:
            await database.execute(SQL["next_audit"], rest)
        else:
            await database.execute(SQL["move_audit"], ids[-1])
        return Piece(*bounds, versions, past, ledger)
