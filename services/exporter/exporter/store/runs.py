"""Runs and certificates in PostgreSQL; every write of a claim's holder checks its fencing token."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from pydantic import TypeAdapter

from exporter.errors import LeaseLost
from shared import outbox
from shared.events import Event, JobSettings, Window
from shared.events.values import SlotCause
from shared.postgres import Connection, Pool, Record, connection, transaction
from shared.queries import load_queries

SQL = load_queries("exporter")
SOURCE = "exporter"
SETTINGS = TypeAdapter(JobSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A run that is ours while its lease lasts.

    `window` is that of an earlier attempt, if there was one; `cause` is None for a run admitted by a release that
    did not record it.
    """

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    slot: datetime
    cause: SlotCause | None
    settings: JobSettings
    attempt: int
    token: int
    taken_over: bool
    window: Window | None
    complete_through: datetime | None


@dataclass(frozen=True, slots=True)
class Held:
    """A claim that has just been checked and is locked: the next event's number and time."""

    seq: int
    at: datetime
    cancel_reason: Literal["requested", "job-deleted"] | None
    cancel_by: UUID | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a run stands: state, token, the tokens of its running slices by kind and number, objects of noted parts."""

    state: str
    token: int
    slices: Mapping[tuple[str, int], int]
    parts: AbstractSet[str]


class RunStore:
    """What exporters share."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, exporter: str, lease: timedelta, *, tenant_limit: int | None) -> Claim | None:
        """Take the next run under a lease, or None when there is none to take."""
        async with transaction(self._pool) as database:
            if tenant_limit is not None:
                await database.execute(SQL["lock_claims"])
            row = await database.fetchrow(SQL["claim"], exporter, lease, tenant_limit)
        return None if row is None else _claim(row)

    async def runs_wait(self, *, tenant_limit: int | None) -> bool:
        """Return whether there is a run that somebody with a free slot would claim."""
        async with connection(self._pool) as database:
            return bool(await database.fetchval(SQL["runs_wait"], tenant_limit))

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

    async def begin(self, database: Connection, claim: Claim, *, window: Window, certificates: Sequence[str]) -> None:
        """Keep what every later attempt goes by; take over the slices that an earlier coordinator worked on.

        Parts that were made for other recipients cannot be gone on from, and are forgotten.
        """
        if await database.fetchval(SQL["same_recipients"], claim.run_id, list(certificates)):
            await database.execute(SQL["release_own_slices"], claim.run_id)
        else:
            await database.execute(SQL["drop_parts"], claim.run_id)
            await database.execute(SQL["drop_slices"], claim.run_id)
        await database.execute(SQL["begin"], claim.run_id, window.start, window.end, list(certificates))

    async def end(self, database: Connection, claim: Claim, state: str) -> None:
        """Put a run into a terminal state."""
        await database.execute(SQL["end"], claim.run_id, state)

    async def requeue(self, database: Connection, claim: Claim, pause: timedelta, *, counted: bool) -> datetime:
        """Give a run back after a pause; an attempt that does not count is taken off. Return when it may be tried."""
        await database.execute(SQL["release_slices"], claim.run_id)
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

    async def standing(self, run_id: UUID) -> Standing:
        """Return what decides which of a run's objects may yet be seen."""
        async with transaction(self._pool) as database:
            row = await database.fetchrow(SQL["standing"], run_id)
            slices = await database.fetch(SQL["slices"], run_id)
            parts = await database.fetch(SQL["part_objects"], run_id)
        assert row is not None
        return Standing(
            row["state"],
            row["token"],
            {(each["kind"], each["number"]): each["token"] for each in slices if each["state"] == "running"},
            {part["object"] for part in parts},
        )

    async def due_sweeps(self, most: int) -> list[UUID]:
        """Return ended runs whose objects are to be looked through now; each comes up again, ever later."""
        async with transaction(self._pool) as database:
            return [row["run_id"] for row in await database.fetch(SQL["due_sweeps"], most)]

    async def seconds_to_work(self, exporter: str) -> float | None:
        """Return the seconds until something may be claimable; None when nothing is open."""
        async with connection(self._pool) as database:
            seconds: float | None = await database.fetchval(SQL["seconds_to_work"], exporter)
        return seconds

    async def queue(self) -> tuple[int, float]:
        """Return how many runs wait, and how long the oldest has waited, in seconds."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["queue"])
        assert row is not None
        return row["waiting"], row["oldest"]

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
        cause=row["cause"],
        settings=SETTINGS.validate_json(row["settings"]),
        attempt=row["attempt"],
        token=row["token"],
        taken_over=row["was"] == "running",
        window=Window(start=row["window_start"], end=row["window_end"]) if known else None,
        complete_through=row["complete_through"],
    )
