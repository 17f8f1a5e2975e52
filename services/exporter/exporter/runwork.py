"""One claimed run, from certificates to commit: what the worker does, told and recorded under the claim's token."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypedDict, TypeVar
from uuid import UUID

from exporter.certificates import accept_recipients
from exporter.domain import FinishedPart, ManifestFacts, backoff, files_of, manifest, missing_rows, window_of
from exporter.errors import LeaseLost, WorkerDied
from exporter.export_errors import ExportError, RowsMissing
from exporter.horizon import complete_through
from exporter.lease import Lease
from exporter.objects import ObjectStore
from exporter.progress import ProgressTeller
from exporter.protocol import Done, Failed, Order, PartStored, Progress
from exporter.settings import Settings
from exporter.store import Claim, Held, RunStore
from exporter.sweep import folder_of
from exporter.worker_process import WorkerProcess
from shared.clock import Clock
from shared.errors import TransientError
from shared.events import (
    PartFinished,
    RunAttemptFailed,
    RunCancelled,
    RunFailed,
    RunHandedBack,
    RunStarted,
    RunSucceeded,
    Window,
)
from shared.kafka import Producer
from shared.observe import BYTES_EXPORTED, ROWS_EXPORTED, RUNS_ENDED, logger

T = TypeVar("T")
log = logger(__name__)
_RETRY_SECONDS = 0.5


class _Common(TypedDict):
    job_id: UUID
    tenant_id: UUID
    run_id: UUID
    token: int
    seq: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known before any data is read."""

    window: Window
    data_complete_through: datetime | None
    certificates: tuple[str, ...]
    fingerprints: tuple[str, ...]


class FailedByWorker(ExportError):
    """The worker said that it cannot go on."""

    def __init__(self, said: Failed) -> None:
        super().__init__(said.message)
        self.code = said.code
        self.transient = said.transient


class CancelAsked(Exception):
    """The run is to be cancelled."""


class RunWork:
    """Carries a claim through. Every method that writes does so only while the claim holds, or raises LeaseLost."""

    def __init__(
        self,
        claim: Claim,
        lease: Lease,
        *,
        store: RunStore,
        objects: ObjectStore,
        producer: Producer,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self._claim = claim
        self._lease = lease
        self._store = store
        self._objects = objects
        self._settings = settings
        self._clock = clock
        self._progress = ProgressTeller(producer, claim, clock)

    async def export(self, worker: WorkerProcess) -> None:
        """Do the whole run. Raises ExportError, WorkerDied, CancelAsked or LeaseLost."""
        prepared = await self._prepare()
        await self._insist(lambda: self._started(prepared))
        telling = asyncio.create_task(self._progress.run(), name="progress")
        try:
            done = await self._listen(worker, prepared)
        finally:
            telling.cancel()
        await self._progress.last()
        await self._commit(prepared, done)

    async def fail(self, error: Exception) -> None:
        """Record a failed attempt: tried again later where that may help, else the run has failed."""
        code, message, transient = _in_words(error)
        attempts = self._claim.settings.attempts
        if transient and self._claim.attempt < attempts:
            await self._insist(lambda: self._try_again(code, message))
        else:
            tried = f" (tried {self._claim.attempt} times)" if transient and attempts > 1 else ""
            await self._insist(lambda: self._failed(code, message + tried))

    async def cancel(self) -> None:
        """End the run as cancelled."""

        async def act() -> None:
            async with self._store.held(self._claim) as (database, held):
                await self._store.end(database, self._claim, "cancelled")
                event = RunCancelled(
                    **self._common(held), reason=held.cancel_reason or "requested", requested_by=held.cancel_by
                )
                await self._store.write_events(database, [event], held.at)

        await self._insist(act)
        RUNS_ENDED.labels("cancelled").inc()

    async def hand_back(self) -> None:
        """Give the run to whoever claims it next; that is no failure and no attempt (R7)."""

        async def act() -> None:
            async with self._store.held(self._claim) as (database, held):
                await self._store.requeue(database, self._claim, backoff(1) * 0, counted=False)
                event = RunHandedBack(**self._common(held), exporter=self._settings.name)
                await self._store.write_events(database, [event], held.at)

        await self._insist(act)

    async def _prepare(self) -> Prepared:
        claim = self._claim
        pems = await self._insist(lambda: self._store.certificates(claim.tenant_id, claim.settings.certificates))
        # Before any data is read (P3): nobody to encrypt for is a reason to end here.
        recipients = accept_recipients([pem.encode() for pem in pems], self._clock.now().astimezone(UTC))
        through: datetime | None = None
        window = claim.window or window_of(claim.settings.timeframe, claim.slot, claim.complete_through)
        if claim.settings.timeframe.kind == "since_last_run":
            if window.end is None:
                through = await complete_through(self._settings.source, hold_back=self._settings.hold_back)
                window = Window(start=window.start, end=through)
            through = window.end
        return Prepared(window, through, tuple(pems), tuple(each.fingerprint for each in recipients))

    async def _started(self, prepared: Prepared) -> None:
        async with self._store.held(self._claim) as (database, held):
            await self._store.drop_parts(database, self._claim)
            await self._store.set_window(database, self._claim, prepared.window)
            event = RunStarted(
                **self._common(held),
                exporter=self._settings.name,
                attempt=self._claim.attempt,
                window=prepared.window,
                recipients=prepared.fingerprints,
            )
            await self._store.write_events(database, [event], held.at)

    async def _listen(self, worker: WorkerProcess, prepared: Prepared) -> Done:
        claim = self._claim
        order = Order(
            run_id=claim.run_id,
            job_id=claim.job_id,
            slot=claim.slot,
            folder=folder_of(claim.run_id, claim.token),
            settings=claim.settings,
            window=prepared.window,
            certificates=prepared.certificates,
            source=self._settings.source,
            store=self._settings.store,
        )
        async for said in worker.carry_out(order):
            match said:
                case Progress():
                    self._progress.take(said)
                case PartStored():
                    await self._part(said)
                case Failed():
                    raise FailedByWorker(said)
                case Done():
                    return said
        raise WorkerDied("the worker process ended without a last word")

    async def _part(self, said: PartStored) -> None:
        part = FinishedPart(
            kind=said.file_kind,
            number=said.number,
            token=self._claim.token,
            name=said.name,
            object=said.object,
            rows=said.rows,
            bytes_raw=said.bytes_raw,
            bytes_packed=said.bytes_packed,
            sha256=said.sha256,
        )

        async def act() -> None:
            async with self._store.held(self._claim) as (database, held):
                await self._store.insert_part(database, self._claim, part)
                event = PartFinished(
                    **self._common(held),
                    kind=part.kind,
                    part=part.number,
                    rows=part.rows,
                    bytes_raw=part.bytes_raw,
                    bytes_packed=part.bytes_packed,
                    sha256=part.sha256,
                )
                await self._store.write_events(database, [event], held.at)

        await self._insist(act)
        ROWS_EXPORTED.labels(part.kind).inc(part.rows)
        BYTES_EXPORTED.labels("raw").inc(part.bytes_raw)
        BYTES_EXPORTED.labels("packed").inc(part.bytes_packed)

    async def _commit(self, prepared: Prepared, done: Done) -> None:
        claim = self._claim
        parts = await self._insist(lambda: self._store.parts(claim))
        if (fault := missing_rows(parts, done.counted)) is not None:
            raise RowsMissing(fault)
        files = files_of(parts, claim.settings)
        facts = ManifestFacts(
            run_id=claim.run_id,
            job_id=claim.job_id,
            tenant_id=claim.tenant_id,
            slot=claim.slot,
            window=prepared.window,
            counted=done.counted,
            recipients=prepared.fingerprints,
            data_complete_through=prepared.data_complete_through,
        )
        where = f"{folder_of(claim.run_id, claim.token)}/manifest.json"
        content = json.dumps(manifest(facts, files, claim.settings), indent=2, ensure_ascii=False)
        await self._objects.put(where, content.encode())

        async def act() -> None:
            async with self._store.held(claim) as (database, held):
                if held.cancel_reason is not None:
                    raise CancelAsked
                event = RunSucceeded(
                    **self._common(held),
                    rows=sum(file.rows for file in files),
                    bytes_raw=sum(file.bytes_raw for file in files),
                    bytes_packed=sum(file.bytes_packed for file in files),
                    files=files,
                    manifest=where,
                    data_complete_through=prepared.data_complete_through,
                )
                await self._store.end(database, claim, "succeeded")
                if prepared.data_complete_through is not None:
                    await self._store.set_complete_through(database, claim.job_id, prepared.data_complete_through)
                await self._store.write_events(database, [event], held.at)

        await self._insist(act)
        RUNS_ENDED.labels("succeeded").inc()

    async def _try_again(self, code: str, message: str) -> None:
        async with self._store.held(self._claim) as (database, held):
            at = await self._store.requeue(database, self._claim, backoff(self._claim.attempt), counted=True)
            event = RunAttemptFailed(
                **self._common(held), attempt=self._claim.attempt, code=code, message=message, retry_at=at
            )
            await self._store.write_events(database, [event], held.at)

    async def _failed(self, code: str, message: str) -> None:
        async with self._store.held(self._claim) as (database, held):
            await self._store.end(database, self._claim, "failed")
            event = RunFailed(**self._common(held), attempt=self._claim.attempt, code=code, message=message)
            await self._store.write_events(database, [event], held.at)
        RUNS_ENDED.labels("failed").inc()

    async def _insist(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do it, again while PostgreSQL is away, as long as the lease lasts."""
        while True:
            try:
                return await act()
            except TransientError as error:
                if self._lease.lost:
                    raise LeaseLost(f"run {self._claim.run_id}: PostgreSQL was away too long") from error
                await self._clock.sleep(_RETRY_SECONDS)

    def _common(self, held: Held) -> _Common:
        claim = self._claim
        return {
            "job_id": claim.job_id,
            "tenant_id": claim.tenant_id,
            "run_id": claim.run_id,
            "token": claim.token,
            "seq": held.seq,
            "at": held.at,
        }


def _in_words(error: Exception) -> tuple[str, str, bool]:
    match error:
        case ExportError():
            return error.code, str(error), error.transient
        case WorkerDied():
            return "worker-died", "The process that worked on this run was killed or crashed.", True
        case _:
            # An unforeseen error's own words may quote data; the log has its place and kind.
            return "internal", f"Something went wrong in the exporter ({type(error).__name__}).", True
