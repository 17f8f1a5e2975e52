"""One claimed run, from its certificates to its commit, under its fencing token.

The claim's holder is the run's coordinator: its worker holds the snapshot and exports slices; helpers may join and take
slices of a run that has many.
"""

import asyncio
from uuid import UUID

from exporter.errors import HandBack
from exporter.package.objects import ObjectStore
from exporter.runs.commit import RunCommitter
from exporter.runs.counting import count_end
from exporter.runs.lease import Lease
from exporter.runs.outcome import OutcomeRecorder
from exporter.runs.preparation import PreparedRun, prepare_run
from exporter.runs.progress import ProgressReporter
from exporter.runs.slices import export_slice
from exporter.runs.stall_timer import StallTimer
from exporter.settings import Settings
from exporter.store.runs import FrozenWindow, RunClaim, RunStore
from exporter.store.slices import SliceStore
from exporter.worker.process import WorkerProcess
from exporter.worker.protocol import RowsCounted, RunOrder, SlicesPlanned, WorkerReport
from shared.clock import Clock
from shared.events import RunStarted
from shared.lifecycle import wait_for_first
from shared.observe import PHASE_SECONDS, RUN_SECONDS

_CHECK_SLICES_SECONDS = 1.0


class RunCoordinator:
    """Carries out a run's claim. Methods that write do so only while the claim is valid, or raise LeaseLost."""

    def __init__(
        self,
        claim: RunClaim,
        lease: Lease,
        *,
        store: RunStore,
        slices: SliceStore,
        objects: ObjectStore,
        progress: ProgressReporter,
        settings: Settings,
        clock: Clock,
        is_native: bool,
        stopping: asyncio.Event,
    ) -> None:
        self.lease = lease
        self._claim = claim
        self._store = store
        self._slices = slices
        self._settings = settings
        self._clock = clock
        self._is_native = is_native
        self._stopping = stopping
        self._progress = progress
        self._recorder = OutcomeRecorder(claim, lease, store=store, exporter=settings.name)
        self._committer = RunCommitter(claim, lease, self._recorder, store=store, slices=slices, objects=objects)
        self._woken = asyncio.Event()

    @property
    def run_id(self) -> UUID:
        """The run."""
        return self._claim.run_id

    @property
    def stall_timer(self) -> StallTimer:
        """How long the run has made no progress."""
        return self._progress.stall_timer

    def wake(self) -> None:
        """Check again what the helpers have done."""
        self._woken.set()

    async def export(self, worker: WorkerProcess) -> None:
        """Carry out the whole run.

        Raises ExportError, WorkerDied, WorkerProtocolError, HandBack, CancelRequested or LeaseLost.
        """
        began = self._clock.now()
        prepared = await prepare_run(self._claim, self.lease, self._store, settings=self._settings, clock=self._clock)
        await self.lease.retry_while_held(lambda: self._begin_attempt(prepared))
        reporting = asyncio.create_task(self._progress.run(), name="progress")
        try:
            with PHASE_SECONDS.labels("count").time():
                snapshot = await self._open(worker, prepared)
            with PHASE_SECONDS.labels("export").time():
                await self._export_slices(worker, snapshot)
        finally:
            reporting.cancel()
        with PHASE_SECONDS.labels("package").time():
            await self._progress.report_phase("package")
            run_files = await self._committer.package(prepared)
        with PHASE_SECONDS.labels("store").time():
            await self._progress.report_phase("store")
            await self._committer.commit(prepared, run_files)
        count_end("succeeded")
        RUN_SECONDS.observe((self._clock.now() - began).total_seconds())

    async def record_outcome(self, outcome: BaseException) -> None:
        """Record why the run was left. Raises LeaseLost when the claim is lost."""
        await self._recorder.record(outcome)

    async def _begin_attempt(self, prepared: PreparedRun) -> None:
        async with self._store.lock_claim(self._claim) as (database, locked):
            await self._store.begin_attempt(
                database,
                self._claim,
                frozen=FrozenWindow(
                    window=prepared.window, note=prepared.data_complete_note, position=prepared.position
                ),
                certificates=prepared.certificates,
            )
            event = RunStarted(
                **self._recorder.get_event_fields(locked),
                exporter=self._settings.name,
                attempt=self._claim.attempt,
                window=prepared.window,
                recipients=prepared.fingerprints,
            )
            await self._store.write_events(database, [event], locked.at)

    async def _open(self, worker: WorkerProcess, prepared: PreparedRun) -> str:
        """Have the worker open the source, and plan the run unless it is planned; return the snapshot's name."""
        claim = self._claim
        is_planned = bool(await self.lease.retry_while_held(lambda: self._slices.list_slices(claim.run_id)))
        await worker.send(
            RunOrder(
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
                position=prepared.position,
                slice_rows=None if is_planned else self._settings.slice_rows,
                source_stall=self._settings.source_stall,
                is_native=self._is_native,
            )
        )
        opened = await worker.receive_opened()
        self._progress.set_estimate(opened.estimated)
        planned = None if is_planned else await worker.receive_plan()
        await self.lease.retry_while_held(lambda: self._save_plan(opened.snapshot, planned))
        return opened.snapshot

    async def _save_plan(self, snapshot: str, planned: SlicesPlanned | None) -> None:
        slices = await self._slices.list_slices(self.run_id)
        async with self._store.lock_claim(self._claim) as (database, _):
            if planned is not None and not slices:
                await self._slices.insert_slices(database, self.run_id, planned.slices, snapshot=snapshot)
            kinds = [each.kind for each in (planned.slices if planned is not None else slices)]
            if len(kinds) > len(set(kinds)):
                await self._slices.share_snapshot(database, self.run_id, snapshot)

    async def _export_slices(self, worker: WorkerProcess, snapshot: str) -> None:
        """Export slices until all are done, by this exporter or by helpers."""
        while True:
            self._woken.clear()
            claimed = await self.lease.retry_while_held(
                lambda: self._slices.claim_own(self._claim, self._settings.name, snapshot)
            )
            if claimed is not None:
                await export_slice(
                    claimed,
                    worker,
                    store=self._slices,
                    lease=self.lease,
                    must_hand_back=self._must_hand_back,
                    on_message=self._observe,
                )
            elif await self.lease.retry_while_held(self._are_slices_done):
                return
            else:
                await wait_for_first(self._woken, self._stopping, seconds=_CHECK_SLICES_SECONDS)
                if self._stopping.is_set():
                    raise HandBack

    async def _must_hand_back(self) -> bool:
        # In a run that is not split, the end of a part is nearly the end of the run.
        return self._stopping.is_set() and self._claim.settings.split_size is not None

    async def _are_slices_done(self) -> bool:
        return all(each.state == "done" for each in await self._slices.list_slices(self.run_id))

    def _observe(self, message: WorkerReport) -> None:
        if isinstance(message, RowsCounted):
            self._progress.set_counts(message.rows)
        self._progress.mark_changed()
