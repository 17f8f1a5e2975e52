"""Slices and their finished parts in PostgreSQL; every write of a slice's holder checks the slice's fencing token."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from exporter.domain.runs import FinishedPart, SliceStanding
from exporter.domain.slicing import PlannedSlice
from exporter.errors import LeaseLost
from exporter.store.runs import SETTINGS, SOURCE, SQL, Claim
from shared import outbox
from shared.events import JobSettings, PartFinished, Window
from shared.events.values import FileKind
from shared.postgres import Connection, Pool, Record, connection, transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceClaim:
    """A slice that is ours: the coordinator's own (with the run's token) or a helper's, under a lease.

    `kept` parts with `kept_rows` and `kept_bytes` are finished already, up to the id `after`. `counted` is what the
    snapshot holds of the rest, where that is known. `taken_over` says that its last holder's lease has run out.
    """

    run_id: UUID
    kind: FileKind
    number: int
    token: int
    run_token: int | None
    snapshot: str
    first: str | None
    before: str | None
    after: str | None
    kept: int
    kept_rows: int
    kept_bytes: int
    counted: int | None
    taken_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRun:
    """What a helper must know of a run."""

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    slot: datetime
    settings: JobSettings
    window: Window
    certificates: tuple[str, ...]


class SliceStore:
    """What exporters share of runs under way."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def plan(self, database: Connection, run_id: UUID, slices: Sequence[PlannedSlice], snapshot: str) -> None:
        """Note a run's slices, as they were planned in a snapshot."""
        await database.executemany(
            SQL["insert_slice"],
            [(run_id, each.kind, each.number, each.first, each.before, each.rows, snapshot) for each in slices],
        )

    async def share(self, database: Connection, run_id: UUID, snapshot: str) -> None:
        """Let helpers join the coordinator's snapshot."""
        await database.execute(SQL["share"], run_id, snapshot)

    async def claim_own(self, claim: Claim, exporter: str, snapshot: str) -> SliceClaim | None:
        """Take the next slice as the run's coordinator, or None when there is none to take."""
        async with transaction(self._pool) as database:
            row = await database.fetchrow(SQL["claim_own_slice"], claim.run_id, claim.token, exporter, snapshot)
            return None if row is None else await self._claimed(database, row, claim.token)

    async def claim(self, exporter: str, lease: timedelta, *, run_id: UUID | None = None) -> SliceClaim | None:
        """Take a slice of a shared run, of a certain one or any, as a helper; None when there is none to take."""
        async with transaction(self._pool) as database:
            row = await database.fetchrow(SQL["claim_slice"], exporter, lease, run_id)
            return None if row is None else await self._claimed(database, row, None)

    async def _claimed(self, database: Connection, row: Record, run_token: int | None) -> SliceClaim:
        kept = await database.fetchrow(SQL["kept"], row["run_id"], row["kind"], row["number"])
        assert kept is not None
        await database.execute(
            SQL["note_slice"], row["run_id"], row["kind"], row["number"], row["token"], kept["rows"], kept["bytes_raw"]
        )
        # A count holds in the snapshot that it was made in, and for the whole slice.
        holds = not kept["parts"] and row["counted_in"] == row["snapshot"]
        return SliceClaim(
            run_id=row["run_id"],
            kind=row["kind"],
            number=row["number"],
            token=row["token"],
            run_token=run_token,
            snapshot=row["snapshot"],
            first=row["key_first"],
            before=row["key_before"],
            after=kept["last_key"],
            kept=kept["parts"],
            kept_rows=kept["rows"],
            kept_bytes=kept["bytes_raw"],
            counted=row["rows_expected"] if holds else None,
            taken_over=row["was"] == "running",
        )

    async def shared_run(self, run_id: UUID) -> SharedRun:
        """Return what a helper must know of a run."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["run_to_help"], run_id)
        assert row is not None
        return SharedRun(
            run_id=row["run_id"],
            job_id=row["job_id"],
            tenant_id=row["tenant_id"],
            slot=row["slot"],
            settings=SETTINGS.validate_json(row["settings"]),
            window=Window(start=row["window_start"], end=row["window_end"]),
            certificates=tuple(row["certificates"]),
        )

    async def renew(self, claim: SliceClaim, lease: timedelta) -> bool:
        """Extend a helper's lease; return whether the run is to be cancelled. Raises LeaseLost."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["renew_slice"], *_key(claim), claim.token, lease)
        if row is None:
            raise LeaseLost(f"slice {claim.number} of run {claim.run_id} is no longer held under token {claim.token}")
        return bool(row["cancelled"])

    async def note(self, claim: SliceClaim, rows: int, bytes_raw: int) -> None:
        """Say how far a slice is; a claim that is lost says nothing."""
        async with connection(self._pool) as database:
            await database.execute(SQL["note_slice"], *_key(claim), claim.token, rows, bytes_raw)

    async def insert_part(self, claim: SliceClaim, part: FinishedPart) -> None:
        """Note a finished part and tell of it, numbered as the latest of its kind; again is harmless.

        Raises LeaseLost.
        """
        async with self._held(claim) as (database, run):
            new = await database.fetchval(
                SQL["insert_part"],
                claim.run_id,
                part.kind,
                part.slice,
                part.number,
                part.token,
                part.object,
                part.rows,
                part.bytes_raw,
                part.bytes_packed,
                part.sha256,
                part.last_key,
                part.snapshot,
            )
            if new is None:
                return
            event = PartFinished(
                job_id=run["job_id"],
                tenant_id=run["tenant_id"],
                run_id=claim.run_id,
                token=run["token"],
                seq=run["seq"],
                at=run["at"],
                kind=part.kind,
                part=await database.fetchval(SQL["count_parts"], claim.run_id, part.kind),
                rows=part.rows,
                bytes_raw=part.bytes_raw,
                bytes_packed=part.bytes_packed,
                sha256=part.sha256,
            )
            await outbox.write(database, [event], source=SOURCE, at=run["at"])

    async def finish(self, claim: SliceClaim, rows: int) -> None:
        """Note that a slice is done; `rows` is what its snapshots hold of it. Raises LeaseLost."""
        async with self._held(claim) as (database, _):
            await database.execute(SQL["finish_slice"], *_key(claim), rows)

    async def release(self, claim: SliceClaim) -> None:
        """Give a slice back; its finished parts stay. A claim that is lost gives nothing back."""
        async with connection(self._pool) as database:
            await database.execute(SQL["release_slice"], *_key(claim), claim.token)

    async def standing(self, run_id: UUID) -> list[SliceStanding]:
        """Return how far the slices of a run are, in order."""
        async with connection(self._pool) as database:
            return [SliceStanding(**dict(row)) for row in await database.fetch(SQL["slices"], run_id)]

    async def parts(self, run_id: UUID) -> list[FinishedPart]:
        """Return a run's finished parts in the order of their records."""
        async with connection(self._pool) as database:
            return [FinishedPart(**dict(row)) for row in await database.fetch(SQL["parts"], run_id)]

    @asynccontextmanager
    async def _held(self, claim: SliceClaim) -> AsyncIterator[tuple[Connection, Record]]:
        """Begin a transaction in which the claim is certain to hold: run first, then slice, as everywhere."""
        async with transaction(self._pool) as database:
            run = await database.fetchrow(SQL["hold_run_of_slice"], claim.run_id, claim.run_token)
            if run is None or not await database.fetchval(SQL["hold_slice"], *_key(claim), claim.token):
                raise LeaseLost(
                    f"slice {claim.number} of run {claim.run_id} is no longer held under token {claim.token}"
                )
            yield database, run


def _key(claim: SliceClaim) -> tuple[UUID, str, int]:
    return claim.run_id, claim.kind, claim.number
