"""Slices and their finished parts in PostgreSQL; every write under a slice's claim checks its fencing token."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from exporter.domain.parts import FinishedPart
from exporter.domain.slicing import PlannedSlice, SliceStatus
from exporter.errors import LeaseLost
from exporter.store.runs import RunClaim
from exporter.store.statements import EVENT_SOURCE, JOB_SETTINGS, SQL
from shared import outbox
from shared.events import JobSettings, PartFinished, Window
from shared.events.values import FileKind
from shared.postgres import Connection, Pool, Record, connection, transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceClaim:
    """A slice that is ours: as the coordinator (`run_token` is the run's token), or as a helper under a lease.

    Finished parts contain its first `finished_rows` rows, up to the id `after`. `counted` is the number of the
    remaining rows in the snapshot, where it is known. `taken_over` says that the last holder's lease expired.
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
    finished_parts: int
    finished_rows: int
    finished_bytes: int
    counted: int | None
    taken_over: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRun:
    """What a helper needs to know about a run."""

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    slot: datetime
    settings: JobSettings
    window: Window
    certificates: tuple[str, ...]


class SliceStore:
    """The slices that exporters share; every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def insert_slices(
        self, database: Connection, run_id: UUID, slices: Sequence[PlannedSlice], *, snapshot: str
    ) -> None:
        """Save a run's slices, planned in a snapshot."""
        await database.execute(
            *SQL.bind(
                "insert_slices",
                run_id=run_id,
                snapshot=snapshot,
                kinds=[each.kind for each in slices],
                numbers=[each.number for each in slices],
                first_keys=[each.first for each in slices],
                before_keys=[each.before for each in slices],
                rows_expected=[each.rows for each in slices],
            )
        )

    async def share_snapshot(self, database: Connection, run_id: UUID, snapshot: str) -> None:
        """Let helpers join the coordinator's snapshot."""
        await database.execute(SQL["share_snapshot"], run_id, snapshot)

    async def claim_own(self, claim: RunClaim, exporter: str, snapshot: str) -> SliceClaim | None:
        """Claim the next slice as the run's coordinator, or return None when there is none."""
        async with transaction(self._pool) as database:
            row = await database.fetchrow(
                *SQL.bind(
                    "claim_own_slice", run_id=claim.run_id, token=claim.token, exporter=exporter, snapshot=snapshot
                )
            )
            return None if row is None else await self._to_claim(database, row, claim.token)

    async def claim(self, exporter: str, lease: timedelta, *, run_id: UUID | None = None) -> SliceClaim | None:
        """Claim a slice as a helper, of the given run or of any shared one, or return None when there is none."""
        async with transaction(self._pool) as database:
            row = await database.fetchrow(*SQL.bind("claim_slice", exporter=exporter, lease=lease, run_id=run_id))
            return None if row is None else await self._to_claim(database, row, None)

    async def _to_claim(self, database: Connection, row: Record, run_token: int | None) -> SliceClaim:
        finished = await database.fetchrow(SQL["sum_finished_parts"], row["run_id"], row["kind"], row["number"])
        assert finished is not None
        # A count is valid in the snapshot in which it was made, and for the whole slice.
        is_counted = not finished["parts"] and row["counted_in"] == row["snapshot"]
        claim = SliceClaim(
            run_id=row["run_id"],
            kind=row["kind"],
            number=row["number"],
            token=row["token"],
            run_token=run_token,
            snapshot=row["snapshot"],
            first=row["key_first"],
            before=row["key_before"],
            after=finished["last_key"],
            finished_parts=finished["parts"],
            finished_rows=finished["rows"],
            finished_bytes=finished["bytes_raw"],
            counted=row["rows_expected"] if is_counted else None,
            taken_over=row["previous_state"] == "running",
        )
        await _save_progress(database, claim, claim.finished_rows, claim.finished_bytes)
        return claim

    async def read_shared_run(self, run_id: UUID) -> SharedRun:
        """Return what a helper needs to know about a run."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["read_shared_run"], run_id)
        assert row is not None
        return SharedRun(
            run_id=row["run_id"],
            job_id=row["job_id"],
            tenant_id=row["tenant_id"],
            slot=row["slot"],
            settings=JOB_SETTINGS.validate_json(row["settings"]),
            window=Window(start=row["window_start"], end=row["window_end"]),
            certificates=tuple(row["certificates"]),
        )

    async def renew(self, claim: SliceClaim, lease: timedelta) -> bool:
        """Extend a helper's lease and return whether the run is to be cancelled. Raises LeaseLost."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(
                *SQL.bind(
                    "renew_slice",
                    run_id=claim.run_id,
                    kind=claim.kind,
                    number=claim.number,
                    token=claim.token,
                    lease=lease,
                )
            )
        if row is None:
            raise _lease_lost(claim)
        return bool(row["cancelled"])

    async def save_progress(self, claim: SliceClaim, rows: int, bytes_raw: int) -> None:
        """Save how far a slice has come; does nothing when the claim is lost."""
        async with connection(self._pool) as database:
            await _save_progress(database, claim, rows, bytes_raw)

    async def insert_part(self, claim: SliceClaim, part: FinishedPart) -> None:
        """Save a finished part and write its event, numbered as the latest of its kind; repeating it does nothing.

        Raises LeaseLost.
        """
        async with self._lock(claim) as (database, run):
            inserted = await database.fetchval(*SQL.bind("insert_part", run_id=claim.run_id, **asdict(part)))
            if inserted is None:
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
            await outbox.write(database, [event], source=EVENT_SOURCE, at=run["at"])

    async def finish(self, claim: SliceClaim, rows: int) -> None:
        """Mark a slice as done; `rows` is the number of its rows in its snapshots. Raises LeaseLost."""
        async with self._lock(claim) as (database, _):
            await database.execute(SQL["finish_slice"], claim.run_id, claim.kind, claim.number, rows)

    async def release(self, claim: SliceClaim) -> None:
        """Release a slice; its finished parts stay. Does nothing when the claim is lost."""
        async with connection(self._pool) as database:
            await database.execute(SQL["release_slice"], claim.run_id, claim.kind, claim.number, claim.token)

    async def list_slices(self, run_id: UUID) -> list[SliceStatus]:
        """Return how far a run's slices have come, in order."""
        async with connection(self._pool) as database:
            return [SliceStatus(**dict(row)) for row in await database.fetch(SQL["list_slices"], run_id)]

    async def list_parts(self, run_id: UUID) -> list[FinishedPart]:
        """Return a run's finished parts in the order of their records."""
        async with connection(self._pool) as database:
            return [FinishedPart(**dict(row)) for row in await database.fetch(SQL["list_parts"], run_id)]

    @asynccontextmanager
    async def _lock(self, claim: SliceClaim) -> AsyncIterator[tuple[Connection, Record]]:
        """Begin a transaction in which the claim is certain to be valid; locks the run first, then the slice."""
        async with transaction(self._pool) as database:
            run = await database.fetchrow(SQL["lock_run_of_slice"], claim.run_id, claim.run_token)
            if run is None or not await database.fetchval(
                SQL["lock_slice"], claim.run_id, claim.kind, claim.number, claim.token
            ):
                raise _lease_lost(claim)
            yield database, run


async def _save_progress(database: Connection, claim: SliceClaim, rows: int, bytes_raw: int) -> None:
    await database.execute(
        *SQL.bind(
            "save_slice_progress",
            run_id=claim.run_id,
            kind=claim.kind,
            number=claim.number,
            token=claim.token,
            rows=rows,
            bytes_raw=bytes_raw,
        )
    )


def _lease_lost(claim: SliceClaim) -> LeaseLost:
    return LeaseLost(f"slice {claim.number} of run {claim.run_id} is no longer held under token {claim.token}")
