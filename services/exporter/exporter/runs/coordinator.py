"""One claimed run, from certificates to commit, under its fencing token: this exporter is the run's coordinator.

Its worker holds the snapshot and exports slices; helpers may join and take slices of a run that has many.
"""

import asyncio
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from exporter.domain.runs import ManifestFacts, SliceStanding, files_of, manifest, missing_rows, rows_by_kind, window_of
from exporter.errors import CancelAsked, GiveBack, RowsMissing
from exporter.package.objects import ObjectStore
from exporter.package.recipients import accept_recipients
from exporter.runs.file_names import final_name
from exporter.runs.lease import Lease
from exporter.runs.outcome import RunEnd
from exporter.runs.progress import ProgressTeller
from exporter.runs.slices import export_slice
from exporter.runs.sweep import folder_of_run
from exporter.settings import Settings
from exporter.source.watermark import complete_through
from exporter.store.runs import Claim, Held, RunStore
from exporter.store.slices import SliceStore
from exporter.worker.process import WorkerProcess
from exporter.worker.protocol import Counted, Opened, Order, Planned, Said
from shared.clock import Clock
from shared.events import ExportedFile, RunStarted, RunSucceeded, RunSucceededV1, Window
from shared.lifecycle import wait_for_first
from shared.observe import PHASE_SECONDS, RUN_SECONDS, RUNS_ENDED

_LOOK_AGAIN = 1.0


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is known before any data is read."""

    window: Window
    data_complete_through: datetime | None
    certificates: tuple[str, ...]
    fingerprints: tuple[str, ...]


class RunWork:
    """Carries a claim through. Every method that writes does so only while the claim holds, or raises LeaseLost."""

    def __init__(
        self,
        claim: Claim,
        lease: Lease,
        *,
        store: RunStore,
        slices: SliceStore,
        objects: ObjectStore,
        progress: ProgressTeller,
        settings: Settings,
        clock: Clock,
        is_native: bool,
        stopping: asyncio.Event,
    ) -> None:
        self.run_id = claim.run_id
        self.lease = lease
        self._claim = claim
        self._store = store
        self._slices = slices
        self._objects = objects
        self._settings = settings
        self._clock = clock
        self._is_native = is_native
        self._stopping = stopping
        self._progress = progress
        self.silence = progress.silence
        self._end = RunEnd(claim, lease, store=store, exporter=settings.name)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look again at what helpers have done."""
        self._woken.set()

    async def export(self, worker: WorkerProcess) -> None:
        """Do the whole run. Raises ExportError, WorkerDied, GiveBack, CancelAsked or LeaseLost."""
        began = self._clock.now()
        prepared = await self._prepare()
        await self.lease.insist(lambda: self._started(prepared))
        telling = asyncio.create_task(self._progress.run(), name="progress")
        try:
            with PHASE_SECONDS.labels("count").time():
                snapshot = await self._open(worker, prepared)
            with PHASE_SECONDS.labels("export").time():
                await self._export_slices(worker, snapshot)
        finally:
            telling.cancel()
        with PHASE_SECONDS.labels("package").time():
            await self._progress.last("package")
            files, where = await self._package(prepared)
        with PHASE_SECONDS.labels("store").time():
            await self._progress.last("store")
            await self._commit(prepared, files, where)
        RUNS_ENDED.labels("succeeded", "").inc()
        RUN_SECONDS.observe((self._clock.now() - began).total_seconds())

    async def settle(self, outcome: BaseException) -> None:
        """Record why the run was left. Raises LeaseLost when it is not ours any more."""
        await self._end.settle(outcome)

    async def _prepare(self) -> Prepared:
        claim = self._claim
        pems = await self.lease.insist(lambda: self._store.certificates(claim.tenant_id, claim.settings.certificates))
        # Before any data is read (P3): nobody to encrypt for is a reason to end here.
        recipients = accept_recipients([pem.encode() for pem in pems], self._clock.now().astimezone(UTC))
        through: datetime | None = None
        window = claim.window or window_of(claim.settings.timeframe, claim.slot, claim.complete_through)
        if claim.settings.timeframe.kind == "since_last_run":
            if window.end is None:
                through = await complete_through(
                    self._settings.source, since=window.start, hold_back=self._settings.hold_back
                )
                window = Window(start=window.start, end=through)
            through = window.end
        return Prepared(window, through, tuple(pems), tuple(each.fingerprint for each in recipients))

    async def _started(self, prepared: Prepared) -> None:
        async with self._store.held(self._claim) as (database, held):
            await self._store.begin(database, self._claim, window=prepared.window, certificates=prepared.certificates)
            event = RunStarted(
                **self._end.facts(held),
                exporter=self._settings.name,
                attempt=self._claim.attempt,
                window=prepared.window,
                recipients=prepared.fingerprints,
            )
            await self._store.write_events(database, [event], held.at)

    async def _open(self, worker: WorkerProcess, prepared: Prepared) -> str:
        """Have the worker open the source and plan what is not planned yet; return the snapshot's name."""
        claim = self._claim
        known = bool(await self.lease.insist(lambda: self._slices.standing(claim.run_id)))
        await worker.order(
            Order(
                run_id=claim.run_id,
                job_id=claim.job_id,
                slot=claim.slot,
                settings=claim.settings,
                window=prepared.window,
                certificates=prepared.certificates,
                source=self._settings.source,
                store=self._settings.store,
                store_options=self._settings.store_options,
                join=None,
                slice_rows=None if known else self._settings.slice_rows,
                is_native=self._is_native,
            )
        )
        opened = await worker.hear()
        assert isinstance(opened, Opened)
        self._progress.estimated(opened.estimated)
        planned = await worker.hear() if not known else None
        assert planned is None or isinstance(planned, Planned)
        await self.lease.insist(lambda: self._share(opened.snapshot, planned))
        return opened.snapshot

    async def _share(self, snapshot: str, planned: Planned | None) -> None:
        slices = await self._slices.standing(self.run_id)
        async with self._store.held(self._claim) as (database, _):
            if planned is not None and not slices:
                await self._slices.plan(database, self.run_id, planned.slices, snapshot)
            planned_kinds = [each.kind for each in (planned.slices if planned is not None else slices)]
            if len(planned_kinds) > len(set(planned_kinds)):
                await self._slices.share(database, self.run_id, snapshot)

    async def _export_slices(self, worker: WorkerProcess, snapshot: str) -> None:
        """Export slices until all are done, by whomever."""
        while True:
            self._woken.clear()
            claimed = await self.lease.insist(
                lambda: self._slices.claim_own(self._claim, self._settings.name, snapshot)
            )
            if claimed is not None:
                await export_slice(
                    claimed,
                    worker,
                    store=self._slices,
                    lease=self.lease,
                    is_to_stop=self._is_to_stop,
                    on_said=self._said,
                )
            elif all(each.state == "done" for each in await self.lease.insist(self._standing)):
                return
            else:
                await wait_for_first(self._woken, self._stopping, seconds=_LOOK_AGAIN)
                if self._stopping.is_set():
                    raise GiveBack

    async def _is_to_stop(self) -> bool:
        # Where nothing is split the end of a part is nearly the end of the run.
        return self._stopping.is_set() and self._claim.settings.split_size is not None

    async def _standing(self) -> list[SliceStanding]:
        return await self._slices.standing(self.run_id)

    def _said(self, said: Said) -> None:
        if isinstance(said, Counted):
            self._progress.counted(said.rows)
        self._progress.fresh()

    async def _package(self, prepared: Prepared) -> tuple[tuple[ExportedFile, ...], str]:
        """Make one set of files of the finished parts: check their rows, number them, and write the manifest."""
        claim = self._claim
        parts = await self.lease.insist(lambda: self._slices.parts(claim.run_id))
        slices = await self.lease.insist(self._standing)
        if (fault := missing_rows(parts, slices)) is not None:
            raise RowsMissing(fault)
        files = files_of(parts, claim.settings, lambda kind, number: final_name(claim, kind, number))
        facts = ManifestFacts(
            run_id=claim.run_id,
            job_id=claim.job_id,
            tenant_id=claim.tenant_id,
            slot=claim.slot,
            window=prepared.window,
            counted=rows_by_kind(slices),
            recipients=prepared.fingerprints,
            data_complete_through=prepared.data_complete_through,
        )
        where = f"{folder_of_run(claim.run_id, claim.token)}/manifest.json"
        content = json.dumps(manifest(facts, files, parts, claim.settings), indent=2, ensure_ascii=False)
        await self._objects.put(where, content.encode())
        return files, where

    def _success(
        self, prepared: Prepared, files: tuple[ExportedFile, ...], where: str, held: Held
    ) -> RunSucceeded | RunSucceededV1:
        claim = self._claim
        facts: dict[str, Any] = {
            **self._end.facts(held),
            "rows": sum(file.rows for file in files),
            "bytes_raw": sum(file.bytes_raw for file in files),
            "bytes_packed": sum(file.bytes_packed for file in files),
            "files": files,
            "manifest": where,
            "data_complete_through": prepared.data_complete_through,
        }
        if claim.cause is None:
            return RunSucceededV1(**facts)
        return RunSucceeded(
            **facts, title=claim.settings.title, type=claim.settings.type, slot=claim.slot, cause=claim.cause
        )

    async def _commit(self, prepared: Prepared, files: tuple[ExportedFile, ...], where: str) -> None:
        """Make the files visible, all at once."""
        claim = self._claim

        async def act() -> None:
            async with self._store.held(claim) as (database, held):
                if held.cancel_reason is not None:
                    raise CancelAsked
                event = self._success(prepared, files, where, held)
                await self._store.end(database, claim, "succeeded")
                if prepared.data_complete_through is not None:
                    await self._store.set_complete_through(database, claim.job_id, prepared.data_complete_through)
                await self._store.write_events(database, [event], held.at)

        await self.lease.insist(act)
