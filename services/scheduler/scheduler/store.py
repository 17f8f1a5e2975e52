"""The ledger in PostgreSQL: rows to domain objects and back, nothing decided here."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from scheduler.domain import Decision, Entry, Run
from shared import outbox
from shared.events import Event, JobSaved
from shared.postgres import Connection, Pool, Record, connection, queries, transaction
from shared.timetable import run_id_of

SQL = queries("scheduler")
SOURCE = "scheduler"
_JOB = TypeAdapter(JobSaved)


class Ledger:
    """Schedules, slots and the outbox."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Begin a transaction; the methods below that take a connection work within it."""
        return transaction(self._pool)

    async def now(self, database: Connection) -> datetime:
        """Return the instant by the only clock that counts."""
        now: datetime = await database.fetchval(SQL["now"])
        return now

    async def claim_due(self, database: Connection, now: datetime, limit: int) -> list[Entry]:
        """Lock and return jobs that have a slot due, oldest first, passing over those that others hold."""
        rows = await database.fetch(SQL["claim_due"], now, limit)
        return [Entry(_JOB.validate_json(row["spec"]), row["next_slot"], row["next_slot"]) for row in rows]

    async def lock_jobs(self, database: Connection, job_ids: Iterable[UUID]) -> dict[UUID, Entry]:
        """Lock and return the ledger's entries of these jobs, as far as they are known."""
        rows = await database.fetch(SQL["lock_jobs"], sorted(job_ids))
        return {row["job_id"]: _entry(row) for row in rows}

    async def save_jobs(self, database: Connection, entries: Sequence[Entry]) -> None:
        """Write changed schedules."""
        await database.execute(
            SQL["save_jobs"],
            [entry.job.job_id for entry in entries],
            [entry.job.version for entry in entries],
            [_JOB.dump_json(entry.job).decode() for entry in entries],
            [entry.next_slot for entry in entries],
            [entry.decided_until for entry in entries],
            [entry.deleted for entry in entries],
        )

    async def insert_slots(
        self, database: Connection, decided: Sequence[tuple[UUID, Decision]], now: datetime
    ) -> set[tuple[UUID, datetime]]:
        """Write fates; return those slots that had none before."""
        rows = await database.fetch(
            SQL["insert_slots"],
            [job_id for job_id, _ in decided],
            [decision.slot for _, decision in decided],
            [run_id_of(job_id, decision.slot) for job_id, decision in decided],
            ["triggered" if isinstance(decision, Run) else "skipped" for _, decision in decided],
            [decision.reason for _, decision in decided],
            [now] * len(decided),
        )
        return {(row["job_id"], row["at"]) for row in rows}

    async def advance(self, database: Connection, moved: Mapping[UUID, Entry]) -> None:
        """Move jobs past their decided slots."""
        await database.execute(
            SQL["advance"],
            list(moved),
            [entry.next_slot for entry in moved.values()],
            [entry.decided_until for entry in moved.values()],
        )

    async def write_events(self, database: Connection, events: Iterable[Event], now: datetime) -> None:
        """Write what tells the others into the outbox."""
        await outbox.write(database, events, source=SOURCE, at=now)

    async def seconds_to_next(self) -> float | None:
        """Return the seconds until some slot is due (negative when late), or None when none will be."""
        async with connection(self._pool) as database:
            seconds: float | None = await database.fetchval(SQL["seconds_to_next"])
        return seconds

    async def count_scheduled(self) -> int:
        """Return the number of jobs that have a next slot."""
        async with connection(self._pool) as database:
            return int(await database.fetchval(SQL["count_scheduled"]))


def _entry(row: Record) -> Entry:
    return Entry(_JOB.validate_json(row["spec"]), row["next_slot"], row["decided_until"], row["deleted"])
