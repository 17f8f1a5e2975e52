"""The ledger in PostgreSQL: rows to domain objects and back, nothing decided here."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

import asyncpg

from scheduler.domain import Decision, Run, Version
from shared.errors import TransientError
from shared.events import Schedule
from shared.events.values import ScheduleKind
from shared.postgres import Connection, Pool, Record, connection, transaction
from shared.queries import load_queries

SQL = load_queries("scheduler")
_SLOT_COLUMNS = ["job_id", "at", "run_id", "version", "fate", "reason", "decided_at"]
SlotKey = tuple[UUID, datetime]


class LedgerChanged(TransientError):
    """Another scheduler has taken in the same jobs at the same time; the second look sees what it did."""


# One is made for each slot; freezing would take three times as long.
@dataclass(slots=True)
class Fate:
    """A slot, its fate, and the version of the job that it fell under."""

    version: Version
    decision: Decision
    run_id: str

    @property
    def key(self) -> SlotKey:
        """Return what is unique in the ledger."""
        return self.version.job_id, self.decision.slot


class Ledger:
    """Schedules and slots; methods that take a connection work within the caller's transaction."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Begin a transaction."""
        return transaction(self._pool)

    async def begin(self, database: Connection, *, stall: timedelta) -> datetime:
        """Return the instant by the only clock that counts; who stalls for `stall` loses the transaction."""
        now: datetime = await database.fetchval(SQL["begin"], str(int(stall.total_seconds() * 1000)))
        return now

    async def claim_due(
        self, database: Connection, now: datetime, limit: int, *, newest: bool = False
    ) -> tuple[list[Version], list[str]]:
        """Lock jobs that have a slot due, passing over those that others hold; return them and their rows' places."""
        rows = await database.fetch(SQL["claim_newest"] if newest else SQL["claim_due"], now, limit)
        return [to_version(row) for row in rows], [row["place"] for row in rows]

    async def claim_unsettled(self, database: Connection, now: datetime, limit: int) -> list[Version]:
        """Lock and return versions that rule no longer and have slots to decide."""
        return [to_version(row) for row in await database.fetch(SQL["claim_unsettled"], now, limit)]

    async def versions_of(self, database: Connection, job_ids: Iterable[UUID]) -> dict[UUID, list[Version]]:
        """Return the versions of some jobs that are still known, oldest first."""
        found: dict[UUID, list[Version]] = {}
        for row in await database.fetch(SQL["heirs"], list(job_ids)):
            found.setdefault(row["job_id"], []).append(to_version(row))
        return found

    async def lock_jobs(self, database: Connection, job_ids: Iterable[UUID]) -> dict[UUID, Version]:
        """Lock and return the versions that rule, of those of the jobs that are known."""
        rows = await database.fetch(SQL["lock_jobs"], sorted(job_ids))
        return {row["job_id"]: to_version(row) for row in rows}

    async def insert_jobs(self, database: Connection, versions: Sequence[Version]) -> None:
        """Write the first versions of jobs. Raises LedgerChanged when one has become known meanwhile."""
        rows = await database.fetch(SQL["insert_jobs"], *_columns(versions)) if versions else []
        if len(rows) < len(versions):
            raise LedgerChanged("another scheduler has taken in the same jobs at the same time")

    async def update_jobs(self, database: Connection, versions: Sequence[Version]) -> None:
        """Write the versions that rule from now on, of jobs that are locked."""
        if versions:
            await database.execute(SQL["update_jobs"], *_columns(versions))

    async def insert_past(self, database: Connection, versions: Sequence[Version]) -> None:
        """Keep versions that rule no longer."""
        if versions:
            await database.execute(SQL["insert_past"], *_columns(versions))

    async def end_unsettled(self, database: Connection, job_ids: Iterable[UUID]) -> None:
        """Note that what older versions of these jobs left open has ended with their deletion."""
        await database.execute(SQL["end_unsettled"], list(job_ids))

    async def insert_slots(self, database: Connection, fates: Sequence[Fate], now: datetime) -> Sequence[Fate]:
        """Write fates; return those of slots that had none before."""
        rows = [
            (
                fate.version.job_id,
                fate.decision.slot,
                fate.run_id,
                fate.version.number,
                "triggered" if isinstance(fate.decision, Run) else "skipped",
                fate.decision.reason,
                now,
            )
            for fate in fates
        ]
        try:
            # Nearly always all are new, and COPY takes half the time; a savepoint is the way back.
            async with database.transaction():
                await database.copy_records_to_table("slot", records=rows, columns=_SLOT_COLUMNS)
        except asyncpg.UniqueViolationError:
            columns = [list(column) for column in zip(*rows, strict=True)]
            new = {(row["job_id"], row["at"]): True for row in await database.fetch(SQL["insert_slots"], *columns)}
            # A slot that two versions share stands twice among the fates; the first is told.
            return [fate for fate in fates if new.pop(fate.key, False)]
        return fates

    async def taken_near(self, database: Connection, job_id: UUID, at: datetime) -> dict[datetime, UUID]:
        """Return the run ids of a job's slots in the millisecond from `at`."""
        return {row["at"]: row["run_id"] for row in await database.fetch(SQL["request_slot"], job_id, at)}

    async def is_deleted(self, database: Connection, job_id: UUID) -> bool:
        """Return whether the job is known to be deleted."""
        return bool(await database.fetchval(SQL["job_is_deleted"], job_id))

    async def insert_request(
        self, database: Connection, fate: tuple[UUID, datetime, UUID, int, str, str, datetime]
    ) -> bool:
        """Write the fate of a request to run now; return whether its instant was free."""
        return bool(await database.fetch(SQL["insert_slots"], *([value] for value in fate)))

    async def advance(self, database: Connection, places: Sequence[str], slots: Sequence[datetime | None]) -> None:
        """Move jobs, by the places of their locked rows, past their decided slots."""
        if places:
            await database.execute(SQL["advance"], places, slots)

    async def settle(self, database: Connection, moved: Sequence[tuple[UUID, int, datetime | None]]) -> None:
        """Move versions that rule no longer past their decided slots."""
        if moved:
            await database.execute(SQL["advance_past"], *(list(column) for column in zip(*moved, strict=True)))

    async def next_due(self) -> tuple[datetime, float] | None:
        """Return the first slot without a fate and the seconds until then (negative when late); None without any."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["next_due"])
        return None if row is None or row["next_slot"] is None else (row["next_slot"], row["seconds"])

    async def count_scheduled(self) -> int:
        """Return the number of jobs that have a next slot."""
        async with connection(self._pool) as database:
            return int(await database.fetchval(SQL["count_scheduled"]))

    async def drop_old_versions(self, kept: timedelta) -> None:
        """Forget versions that have ruled no longer for so long, unless an older one of their job has open slots."""
        async with connection(self._pool) as database:
            await database.execute(SQL["drop_old_versions"], kept)

    async def drop_old_slots(self, kept: timedelta, most: int) -> int:
        """Forget fates decided longer ago than `kept`, `most` at once; return how many."""
        async with connection(self._pool) as database:
            done = await database.execute(SQL["drop_old_slots"], kept, most)
        return int(done.rpartition(" ")[2])


def to_version(row: Record) -> Version:
    """Return a row that ends with the columns of `schedule` or `past` as what the domain decides by."""
    job, tenant, number, state, kind, start, immediately, every, catch_up, overlap, settings, *bounds = row[-15:]
    schedule = _schedule(kind, start, immediately, every)
    return Version(job, tenant, number, state, schedule, catch_up, overlap, settings, *bounds)


@lru_cache(maxsize=8192)
def _schedule(kind: ScheduleKind, start: datetime, immediately: bool, every: int) -> Schedule:
    return Schedule(kind=kind, start=start, immediately=immediately, every=every)


def _columns(versions: Sequence[Version]) -> list[list[object]]:
    rows = [
        (
            each.job_id,
            each.tenant_id,
            each.number,
            each.state,
            each.schedule.kind,
            each.schedule.start,
            each.schedule.immediately,
            each.schedule.every,
            each.catch_up,
            each.overlap,
            each.settings,
            each.since,
            each.until,
            each.deleted,
            each.next_slot,
        )
        for each in versions
    ]
    return [list(column) for column in zip(*rows, strict=True)]
