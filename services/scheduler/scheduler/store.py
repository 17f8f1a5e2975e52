"""The ledger in PostgreSQL: translates between rows and domain objects, and decides nothing."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

import asyncpg

from scheduler.domain import Decision, JobVersion, Trigger
from shared.errors import TransientError
from shared.events import Schedule
from shared.events.values import ScheduleKind
from shared.postgres import Connection, Pool, Record, connection, transaction
from shared.queries import load_queries

SQL = load_queries("scheduler")
_SLOT_COLUMNS = ["job_id", "at", "run_id", "version", "fate", "reason", "decided_at"]
SlotKey = tuple[UUID, datetime]


class LedgerChanged(TransientError):
    """Another scheduler has inserted the same jobs concurrently; a retry sees its rows."""


# One is created for each decided slot, and a frozen class takes three times as long.
@dataclass(slots=True)
class LedgerEntry:
    """A slot's decision, the version of the job that decided it, and the id of its run."""

    version: JobVersion
    decision: Decision
    run_id: str

    @property
    def key(self) -> SlotKey:
        """The primary key in the ledger: job and instant."""
        return self.version.job_id, self.decision.slot


@dataclass(frozen=True, slots=True)
class Due:
    """The present instant, and the one up to which slots of suspended jobs are decided."""

    now: datetime
    suspended: datetime


@dataclass(frozen=True, slots=True)
class NextDue:
    """The first slot without a fate, if any, the seconds until it is due, and the number of jobs that are set aside."""

    slot: datetime | None
    seconds: float
    faults: int


class Ledger:
    """Schedules and slots. Methods that take a connection work within the caller's transaction.

    All methods raise PostgresUnavailable, those with a connection through the caller's transaction.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Begin a transaction."""
        return transaction(self._pool)

    async def begin(self, database: Connection, *, stall_limit: timedelta) -> datetime:
        """Return the time by the database's clock, the scheduler's only clock.

        From now on PostgreSQL aborts the transaction when it is idle for `stall_limit`.
        """
        now: datetime = await database.fetchval(SQL["begin"], str(int(stall_limit.total_seconds() * 1000)))
        return now

    async def claim_due(
        self, database: Connection, now: datetime, limit: int, *, newest: bool = False
    ) -> tuple[list[JobVersion], list[str]]:
        """Lock jobs with a due slot, skipping those that others have locked; return them and their rows' ctids."""
        rows = await database.fetch(SQL["claim_newest"] if newest else SQL["claim_due"], now, limit)
        return [to_version(row) for row in rows], [row["ctid"] for row in rows]

    async def claim_suspended(self, database: Connection, due: Due, limit: int) -> tuple[list[JobVersion], list[str]]:
        """Lock suspended jobs with a slot to decide, as `claim_due` does others."""
        rows = await database.fetch(SQL["claim_suspended"], due.now, due.suspended, limit)
        return [to_version(row) for row in rows], [row["ctid"] for row in rows]

    async def claim_superseded(self, database: Connection, now: datetime, limit: int) -> list[JobVersion]:
        """Lock and return superseded versions with due slots that have no fate."""
        return [to_version(row) for row in await database.fetch(SQL["claim_superseded"], now, limit)]

    async def find_versions(self, database: Connection, job_ids: Iterable[UUID]) -> dict[UUID, list[JobVersion]]:
        """Return all stored versions of some jobs, oldest first."""
        found: dict[UUID, list[JobVersion]] = {}
        for row in await database.fetch(SQL["find_versions"], list(job_ids)):
            found.setdefault(row["job_id"], []).append(to_version(row))
        return found

    async def lock_jobs(self, database: Connection, job_ids: Iterable[UUID]) -> dict[UUID, JobVersion]:
        """Lock and return the current versions of those jobs that are known."""
        rows = await database.fetch(SQL["lock_jobs"], sorted(job_ids))
        return {row["job_id"]: to_version(row) for row in rows}

    async def insert_jobs(self, database: Connection, versions: Sequence[JobVersion]) -> None:
        """Insert the first versions of jobs. Raises LedgerChanged if one has been inserted concurrently."""
        rows = await database.fetch(*SQL.bind("insert_jobs", **_to_columns(versions))) if versions else []
        if len(rows) < len(versions):
            raise LedgerChanged("another scheduler has inserted the same jobs concurrently")

    async def update_jobs(self, database: Connection, versions: Sequence[JobVersion]) -> None:
        """Write the new current versions of locked jobs."""
        if versions:
            columns = _to_columns(versions)
            for unchanged in ("tenant_id", "until"):
                del columns[unchanged]
            await database.execute(*SQL.bind("update_jobs", **columns))

    async def insert_superseded(self, database: Connection, versions: Sequence[JobVersion]) -> None:
        """Write superseded versions."""
        if versions:
            await database.execute(*SQL.bind("insert_superseded", **_to_columns(versions)))

    async def end_superseded(self, database: Connection, job_ids: Iterable[UUID]) -> None:
        """Mark superseded versions of deleted jobs as deleted, so that their open slots end."""
        await database.execute(SQL["end_superseded"], list(job_ids))

    async def find_deleted(self, database: Connection, job_ids: Iterable[UUID]) -> set[UUID]:
        """Return those of some jobs that were deleted before any version of them arrived."""
        return {row["job_id"] for row in await database.fetch(SQL["find_deleted"], list(job_ids))}

    async def insert_deleted(self, database: Connection, deleted: Mapping[UUID, int]) -> None:
        """Remember deletions of jobs of which no version has arrived, by job with the deletion's version."""
        if deleted:
            await database.execute(SQL["insert_deleted"], list(deleted), list(deleted.values()))

    async def forget_deleted(self, database: Connection, job_ids: Iterable[UUID]) -> None:
        """Forget such deletions, since their tombstones have arrived."""
        await database.execute(SQL["forget_deleted"], list(job_ids))

    async def insert_slots(
        self, database: Connection, entries: Sequence[LedgerEntry], now: datetime
    ) -> Sequence[LedgerEntry]:
        """Write decided slots; return the entries of those that had no fate before."""
        rows = [
            (
                entry.version.job_id,
                entry.decision.slot,
                entry.run_id,
                entry.version.number,
                "triggered" if isinstance(entry.decision, Trigger) else "skipped",
                entry.decision.reason,
                now,
            )
            for entry in entries
        ]
        try:
            # Nearly always all slots are new, and COPY takes half the time; the savepoint allows the fallback.
            async with database.transaction():
                await database.copy_records_to_table("slot", records=rows, columns=_SLOT_COLUMNS)
        except asyncpg.UniqueViolationError:
            new = await _insert_free_slots(database, rows)
            # A slot that two versions share has two entries; the first one wins.
            return [entry for entry in entries if new.pop(entry.key, False)]
        return entries

    async def find_slots_near(self, database: Connection, job_id: UUID, at: datetime) -> dict[datetime, UUID]:
        """Return a job's slots within the millisecond after `at`, with their run ids."""
        return {row["at"]: row["run_id"] for row in await database.fetch(SQL["find_slots_near"], job_id, at)}

    async def is_deleted(self, database: Connection, job_id: UUID) -> bool:
        """Return whether the job is known to be deleted."""
        return bool(await database.fetchval(SQL["is_deleted"], job_id))

    async def insert_slot(
        self,
        database: Connection,
        *,
        job_id: UUID,
        slot: datetime,
        run_id: UUID,
        version: int,
        fate: str,
        reason: str,
        decided_at: datetime,
    ) -> bool:
        """Write one decided slot; return False if the job has a slot at this instant already."""
        row = (job_id, slot, run_id, version, fate, reason, decided_at)
        return bool(await _insert_free_slots(database, [row]))

    async def advance(self, database: Connection, ctids: Sequence[str], next_slots: Sequence[datetime | None]) -> None:
        """Write the next slots of jobs, by the ctids of their locked rows."""
        if ctids:
            await database.execute(SQL["advance"], ctids, next_slots)

    async def advance_superseded(
        self, database: Connection, decided: Sequence[tuple[JobVersion, datetime | None]]
    ) -> None:
        """Write the next slots of superseded versions."""
        if decided:
            job_ids = [version.job_id for version, _ in decided]
            numbers = [version.number for version, _ in decided]
            await database.execute(SQL["advance_superseded"], job_ids, numbers, [slot for _, slot in decided])

    async def find_next_due(self, suspended_wait: timedelta) -> NextDue:
        """Return the first slot without a fate, and when it is due (negative seconds when late).

        Slots of suspended jobs are due later by `suspended_wait`.
        """
        async with connection(self._pool) as database:
            (row,) = await database.fetch(SQL["find_next_due"], suspended_wait)
        return NextDue(row["next_slot"], row["seconds"] or 0.0, row["faults"])

    async def find_due_jobs(self, database: Connection, due: Due, limit: int) -> list[UUID]:
        """Return the ids of jobs with due slots, oldest first, even of those that cannot be read."""
        return [row["job_id"] for row in await database.fetch(SQL["due_jobs"], due.now, due.suspended, limit)]

    async def claim_job(
        self, database: Connection, job_id: UUID, due: Due
    ) -> tuple[list[JobVersion], list[str], list[JobVersion]]:
        """Lock one job's due versions, unless others have: the current one with its row's ctid, and superseded ones."""
        rows = await database.fetch(SQL["claim_job"], job_id, due.now, due.suspended)
        superseded = await database.fetch(SQL["claim_superseded_of"], job_id, due.now)
        return (
            [to_version(row) for row in rows],
            [row["ctid"] for row in rows],
            [to_version(row) for row in superseded],
        )

    async def save_fault(self, job_id: UUID, error: str) -> None:
        """Set a job aside for a while, longer after each failure. Raises PostgresUnavailable."""
        async with connection(self._pool) as database:
            await database.execute(SQL["save_fault"], job_id, error)

    async def clear_faults(self, database: Connection, job_ids: Iterable[UUID]) -> None:
        """Let jobs be decided again."""
        await database.execute(SQL["clear_faults"], list(job_ids))

    async def count_scheduled(self) -> int:
        """Return the number of jobs that have a next slot."""
        async with connection(self._pool) as database:
            return int(await database.fetchval(SQL["count_scheduled"]))

    async def delete_old_versions(self, retention: timedelta) -> None:
        """Delete versions superseded longer ago than `retention`, unless an earlier one of their job has open slots."""
        async with connection(self._pool) as database:
            await database.execute(SQL["delete_old_versions"], retention)

    async def delete_old_slots(self, retention: timedelta, *, limit: int) -> int:
        """Delete at most `limit` slots decided longer ago than `retention`; return their number."""
        async with connection(self._pool) as database:
            status = await database.execute(SQL["delete_old_slots"], retention, limit)
        return int(status.rpartition(" ")[2])


def to_version(row: Record) -> JobVersion:
    """Return the version in a row of `schedule` or `schedule_history`."""
    return JobVersion(
        row["job_id"],
        row["tenant_id"],
        row["version"],
        row["state"],
        _to_schedule(row["kind"], row["start"], row["immediately"], row["every"]),
        row["catch_up"],
        row["overlap"],
        row["settings"],
        row["since"],
        row["until"],
        row["deleted"],
        row["next_slot"],
    )


@lru_cache(maxsize=8192)
def _to_schedule(kind: ScheduleKind, start: datetime, immediately: bool, every: int) -> Schedule:
    return Schedule(kind=kind, start=start, immediately=immediately, every=every)


def _to_columns(versions: Sequence[JobVersion]) -> dict[str, list[object]]:
    return {
        "job_id": [each.job_id for each in versions],
        "tenant_id": [each.tenant_id for each in versions],
        "version": [each.number for each in versions],
        "state": [each.state for each in versions],
        "kind": [each.schedule.kind for each in versions],
        "start": [each.schedule.start for each in versions],
        "immediately": [each.schedule.immediately for each in versions],
        "every": [each.schedule.every for each in versions],
        "catch_up": [each.catch_up for each in versions],
        "overlap": [each.overlap for each in versions],
        "settings": [each.settings for each in versions],
        "since": [each.since for each in versions],
        "until": [each.until for each in versions],
        "deleted": [each.deleted for each in versions],
        "next_slot": [each.next_slot for each in versions],
    }


async def _insert_free_slots(database: Connection, rows: Sequence[tuple[object, ...]]) -> dict[SlotKey, bool]:
    """Insert slots whose instants are free; return their keys, each with True."""
    columns = dict(zip(_SLOT_COLUMNS, zip(*rows, strict=True), strict=True))
    return {(row["job_id"], row["at"]): True for row in await database.fetch(*SQL.bind("insert_slots", **columns))}
