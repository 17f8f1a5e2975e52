"""Runs and certificates in PostgreSQL; every write under a claim checks its fencing token."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from exporter.errors import LeaseLost
from exporter.store.statements import EVENT_SOURCE, JOB_SETTINGS, SQL
from shared import outbox
from shared.events import Event, JobSettings, RunCancelled, Window
from shared.events.values import SlotCause
from shared.postgres import Connection, Pool, Record, connection, transaction

CancelReason = Literal["requested", "job-deleted"]
EndState = Literal["succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunClaim:
    """A run that is ours until its lease expires.

    `window` is that of an earlier attempt, if any, with its note and the position that the source must have replayed;
    `watermark` is where the job's last successful run ended. `cause` is None for a run admitted by a release that did
    not record it.
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
    watermark: datetime | None
    window_note: str | None = None
    window_position: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenWindow:
    """A run's window with its note, and the position that the source must have replayed; later attempts keep them."""

    window: Window
    note: str | None
    position: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedClaim:
    """A claim that was just verified and whose run is locked: the next event's number and time."""

    seq: int
    at: datetime
    cancel_reason: CancelReason | None
    cancel_by: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOwnership:
    """What decides which of a run's objects can still become visible.

    The run's state and token, the tokens of its running slices by kind and number, and its finished parts' objects.
    """

    state: str
    token: int
    slices: Mapping[tuple[str, int], int]
    parts: AbstractSet[str]


class RunStore:
    """The runs that all exporters share; every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, exporter: str, lease: timedelta, *, tenant_limit: int | None) -> RunClaim | None:
        """Claim the next run under a lease, or return None when there is none."""
        async with transaction(self._pool) as database:
            if tenant_limit is not None:
                await database.execute(SQL["lock_claims"])
            row = await database.fetchrow(*SQL.bind("claim", exporter=exporter, lease=lease, tenant_limit=tenant_limit))
        return None if row is None else _to_claim(row)

    async def has_claimable_runs(self, *, tenant_limit: int | None) -> bool:
        """Return whether an exporter with a free worker place would claim a run."""
        async with connection(self._pool) as database:
            return bool(await database.fetchval(SQL["has_claimable_runs"], tenant_limit))

    async def renew(self, claim: RunClaim, lease: timedelta) -> bool:
        """Extend the lease and return whether the run is to be cancelled. Raises LeaseLost."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["renew"], claim.run_id, claim.token, lease)
        if row is None:
            raise _lease_lost(claim)
        return bool(row["cancelled"])

    @asynccontextmanager
    async def lock_claim(self, claim: RunClaim) -> AsyncIterator[tuple[Connection, LockedClaim]]:
        """Begin a transaction in which the claim is certain to be valid. Raises LeaseLost."""
        async with transaction(self._pool) as database:
            row = await database.fetchrow(SQL["lock_claim"], claim.run_id, claim.token)
            if row is None:
                raise _lease_lost(claim)
            yield (
                database,
                LockedClaim(
                    seq=row["seq"], at=row["at"], cancel_reason=row["cancel_reason"], cancel_by=row["cancel_by"]
                ),
            )

    async def begin_attempt(
        self, database: Connection, claim: RunClaim, *, frozen: FrozenWindow, certificates: Sequence[str]
    ) -> None:
        """Save what later attempts need, and release the slices that an earlier coordinator worked on.

        Parts that were encrypted for other certificates cannot be used, and are forgotten.
        """
        if await database.fetchval(SQL["has_same_recipients"], claim.run_id, list(certificates)):
            await database.execute(SQL["release_own_slices"], claim.run_id)
        else:
            await database.execute(SQL["delete_parts"], claim.run_id)
            await database.execute(SQL["delete_slices"], claim.run_id)
        await database.execute(
            *SQL.bind(
                "begin_attempt",
                run_id=claim.run_id,
                window_start=frozen.window.start,
                window_end=frozen.window.end,
                window_note=frozen.note,
                window_position=frozen.position,
                certificates=list(certificates),
            )
        )

    async def end_run(self, database: Connection, claim: RunClaim, state: EndState) -> None:
        """Put a run into a terminal state."""
        await database.execute(SQL["end_run"], claim.run_id, state)

    async def requeue(self, database: Connection, claim: RunClaim, delay: timedelta, *, counted: bool) -> datetime:
        """Hand a run back and return when it may be claimed again; an attempt that is not `counted` is subtracted."""
        await database.execute(SQL["release_slices"], claim.run_id)
        at: datetime = await database.fetchval(SQL["requeue"], claim.run_id, delay, 0 if counted else -1)
        return at

    async def save_watermark(self, database: Connection, job_id: UUID, watermark: datetime) -> None:
        """Save up to which instant a job's exported data is complete."""
        await database.execute(SQL["save_watermark"], job_id, watermark)

    async def cancel_unclaimed(self) -> list[RunCancelled]:
        """Cancel the runs that are to be cancelled and that no exporter holds; return their events, already written."""
        async with transaction(self._pool) as database:
            cancelled = [_to_cancelled(row) for row in await database.fetch(SQL["cancel_unclaimed"])]
            for event in cancelled:
                await self.write_events(database, [event], event.at)
        return cancelled

    async def list_certificates(self, tenant_id: UUID, named: Sequence[UUID] | None) -> list[str]:
        """Return a tenant's active certificates (PEM), or of these the `named` ones."""
        async with connection(self._pool) as database:
            return [row["pem"] for row in await database.fetch(SQL["list_certificates"], tenant_id, named)]

    async def find_source_number(self, tenant_id: UUID) -> int | None:
        """Return the number of a tenant's rows in the source, or None while job-api has not published it."""
        async with connection(self._pool) as database:
            number: int | None = await database.fetchval(SQL["source_number"], tenant_id)
        return number

    async def read_ownership(self, run_id: UUID) -> RunOwnership:
        """Return what decides which of a run's objects can still become visible."""
        async with transaction(self._pool) as database:
            row = await database.fetchrow(SQL["read_run_state"], run_id)
            slices = await database.fetch(SQL["list_slices"], run_id)
            parts = await database.fetch(SQL["list_part_objects"], run_id)
        assert row is not None
        return RunOwnership(
            state=row["state"],
            token=row["token"],
            slices={(each["kind"], each["number"]): each["token"] for each in slices if each["state"] == "running"},
            parts={part["object"] for part in parts},
        )

    async def take_due_sweeps(self, limit: int) -> list[UUID]:
        """Return ended runs whose objects are to be swept now, and schedule their next sweep, later each time."""
        async with transaction(self._pool) as database:
            return [row["run_id"] for row in await database.fetch(SQL["take_due_sweeps"], limit)]

    async def schedule_sweep(self, run_id: UUID, delay: timedelta) -> None:
        """Have an ended run swept after a delay at the latest; does nothing for one that has not ended."""
        async with connection(self._pool) as database:
            await database.execute(SQL["schedule_sweep"], run_id, delay)

    async def get_seconds_to_retry(self) -> float | None:
        """Return the seconds until a queued run may be tried again; None when there is no such run."""
        async with connection(self._pool) as database:
            seconds: float | None = await database.fetchval(SQL["seconds_to_retry"])
        return seconds

    async def measure_queue(self) -> tuple[int, float]:
        """Return how many runs are waiting, and how long the oldest has waited in seconds."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["measure_queue"])
        assert row is not None
        return row["waiting"], row["oldest"]

    async def write_events(self, database: Connection, events: Iterable[Event], at: datetime) -> None:
        """Write events to the outbox."""
        await outbox.write(database, events, source=EVENT_SOURCE, at=at)


def _lease_lost(claim: RunClaim) -> LeaseLost:
    return LeaseLost(f"run {claim.run_id} is no longer held under token {claim.token}")


def _to_claim(row: Record) -> RunClaim:
    has_window = row["window_start"] is not None or row["window_end"] is not None
    return RunClaim(
        run_id=row["run_id"],
        job_id=row["job_id"],
        tenant_id=row["tenant_id"],
        slot=row["slot"],
        cause=row["cause"],
        settings=JOB_SETTINGS.validate_json(row["settings"]),
        attempt=row["attempt"],
        token=row["token"],
        taken_over=row["previous_state"] == "running",
        window=Window(start=row["window_start"], end=row["window_end"]) if has_window else None,
        watermark=row["complete_through"],
        window_note=row["window_note"],
        window_position=row["window_position"],
    )


def _to_cancelled(row: Record) -> RunCancelled:
    return RunCancelled(
        job_id=row["job_id"],
        tenant_id=row["tenant_id"],
        run_id=row["run_id"],
        token=row["token"],
        seq=row["seq"],
        at=row["ended_at"],
        reason=row["cancel_reason"],
        requested_by=row["cancel_by"],
    )
