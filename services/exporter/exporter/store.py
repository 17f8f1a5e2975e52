"""Runs, parts and certificates in PostgreSQL; every write of a claim's holder checks its fencing token."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import TypeAdapter

from exporter.domain import FinishedPart
from exporter.errors import LeaseLost
from shared import outbox
from shared.events import Event, JobSettings, Window
from shared.postgres import Connection, Pool, Record, connection, queries, transaction

SQL = queries("exporter")
SOURCE = "exporter"
SETTINGS = TypeAdapter(JobSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A run that is ours while its lease lasts; `window` is that of an earlier attempt, if there was one."""

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    slot: datetime
    settings: JobSettings
    attempt: int
    token: int
    window: Window | None
    complete_through: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """A claim that has just been checked and is locked: the next event's number and time."""

    seq: int
    at: datetime
    cancel_reason: Literal["requested", "job-deleted"] | None
    cancel_by: UUID | None


class RunStore:
    """What exporters share."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, exporter: str, lease: timedelta) -> Claim | None:
        """Take the next run under a lease, or None when there is none to take."""
        async with transaction(self._pool) as database:
            row = await database.fetchrow(SQL["claim"], exporter, lease)
        return None if row is None else _claim(row)

    async def renew(self, claim: Claim, lease: timedelta) -> bool:
        """Extend the lease; return whether the run is to be cancelled. Raises LeaseLost."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["renew"], claim.run_id, claim.token, lease)
        if row is None:
            raise LeaseLost(f"run {claim.run_id} is no longer held under token {claim.token}")
        return bool(row["cancelled"])

    @asynccontextmanager
    async def held(self, claim: Claim) -> AsyncIterator[tuple[Connection, Held]]:
        """Begin a transaction in which the claim is certain to hold. Raises LeaseLost."""
        async with transaction(self._pool) as database:
            row = await database.fetchrow(SQL["hold"], claim.run_id, claim.token)
            if row is None:
                raise LeaseLost(f"run {claim.run_id} is no longer held under token {claim.token}")
            yield database, Held(row["seq"], row["at"], row["cancel_reason"], row["cancel_by"])

    async def set_window(self, database: Connection, claim: Claim, window: Window) -> None:
        """Keep the window for every later attempt."""
        await database.execute(SQL["set_window"], claim.run_id, window.start, window.end)

    async def insert_part(self, database: Connection, claim: Claim, part: FinishedPart) -> None:
        """Note a finished part."""
        await database.execute(
            SQL["insert_part"],
            claim.run_id,
            part.kind,
            part.number,
            part.token,
            part.name,
            part.object,
            part.rows,
            part.bytes_raw,
            part.bytes_packed,
            part.sha256,
        )

    async def drop_parts(self, database: Connection, claim: Claim) -> list[str]:
        """Forget the parts of earlier attempts; return their objects, which may be removed after the commit."""
        return [row["object"] for row in await database.fetch(SQL["drop_parts"], claim.run_id)]

    async def parts(self, claim: Claim) -> list[FinishedPart]:
        """Return the finished parts in order."""
        async with connection(self._pool) as database:
            return [FinishedPart(**dict(row)) for row in await database.fetch(SQL["parts"], claim.run_id)]

    async def end(self, database: Connection, claim: Claim, state: str) -> None:
        """Put a run into a terminal state."""
        await database.execute(SQL["end"], claim.run_id, state)

    async def requeue(self, database: Connection, claim: Claim, pause: timedelta, *, counted: bool) -> datetime:
        """Give a run back after a pause; an attempt that does not count is taken off. Return when it may be tried."""
        at: datetime = await database.fetchval(SQL["requeue"], claim.run_id, pause, 0 if counted else -1)
        return at

    async def set_complete_through(self, database: Connection, job_id: UUID, instant: datetime) -> None:
        """Note how far a job's exported data is complete."""
        await database.execute(SQL["set_complete_through"], job_id, instant)

    async def end_unclaimed(self, database: Connection) -> Sequence[Record]:
        """Cancel what was asked for and nobody holds; return the runs."""
        return await database.fetch(SQL["end_unclaimed"])

    async def certificates(self, tenant_id: UUID, named: Sequence[UUID] | None) -> list[str]:
        """Return the PEM texts of a run's recipients."""
        async with connection(self._pool) as database:
            return [row["pem"] for row in await database.fetch(SQL["certificates"], tenant_id, named)]

    async def standing(self, run_id: UUID) -> tuple[int, str, set[str]]:
        """Return a run's present token and state, and the objects of its noted parts."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["standing"], run_id)
            objects = {part["object"] for part in await database.fetch(SQL["part_objects"], run_id)}
        assert row is not None
        return row["token"], row["state"], objects

    async def seconds_to_work(self, exporter: str) -> float | None:
        """Return the seconds until something may be claimable; None when nothing is open."""
        async with connection(self._pool) as database:
            seconds: float | None = await database.fetchval(SQL["seconds_to_work"], exporter)
        return seconds

    async def count_queued(self) -> int:
        """Return how many runs wait."""
        async with connection(self._pool) as database:
            return int(await database.fetchval(SQL["count_queued"]))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Begin a transaction."""
        async with transaction(self._pool) as database:
            yield database

    async def write_events(self, database: Connection, events: Iterable[Event], at: datetime) -> None:
        """Write what tells the others into the outbox."""
        await outbox.write(database, events, source=SOURCE, at=at)


def _claim(row: Record) -> Claim:
    known = row["window_start"] is not None or row["window_end"] is not None
    return Claim(
        run_id=row["run_id"],
        job_id=row["job_id"],
        tenant_id=row["tenant_id"],
        slot=row["slot"],
        settings=SETTINGS.validate_json(row["settings"]),
        attempt=row["attempt"],
        token=row["token"],
        window=Window(start=row["window_start"], end=row["window_end"]) if known else None,
        complete_through=row["complete_through"],
    )
