"""Helping with a large run that another exporter coordinates: slice after slice, until a run needs the worker place."""

import asyncio
from uuid import UUID

from exporter.errors import HandBack, LeaseLost
from exporter.runs.lease import Lease
from exporter.runs.outcome import describe_and_count
from exporter.runs.slices import export_slice
from exporter.runs.stall_timer import StallTimer
from exporter.settings import Settings
from exporter.store.runs import RunStore
from exporter.store.slices import SliceClaim, SliceStore
from exporter.worker.process import WorkerProcess
from exporter.worker.protocol import RunOrder
from shared.clock import Clock
from shared.observe import SLICES_HELPED, get_logger

log = get_logger(__name__)


class SliceHelper:
    """Exports slices of one run, each under a lease and a token of its own."""

    def __init__(
        self,
        claim: SliceClaim,
        *,
        store: RunStore,
        slices: SliceStore,
        settings: Settings,
        clock: Clock,
        is_native: bool,
        stopping: asyncio.Event,
    ) -> None:
        self._claim = claim
        self._store = store
        self._slices = slices
        self._settings = settings
        self._is_native = is_native
        self._stopping = stopping
        self.lease = Lease(lambda length: self._slices.renew(self._claim, length), settings.lease, clock=clock)
        self.stall_timer = StallTimer()

    @property
    def run_id(self) -> UUID:
        """The run."""
        return self._claim.run_id

    def wake(self) -> None:
        """Do nothing: a helper checks for waiting runs at the end of every part, which is soon enough."""

    async def export(self, worker: WorkerProcess) -> None:
        """Export slices until there are none left, or a run waits.

        Raises ExportError, WorkerDied, WorkerProtocolError, HandBack or LeaseLost.
        """
        await worker.send(await self._build_order())
        await worker.receive_opened()
        claim: SliceClaim | None = self._claim
        while claim is not None:
            self._claim = claim
            await export_slice(
                claim,
                worker,
                store=self._slices,
                lease=self.lease,
                must_hand_back=self._must_hand_back,
                on_message=self.stall_timer.observe,
            )
            SLICES_HELPED.inc()
            claim = await self._claim_next()

    async def record_outcome(self, outcome: BaseException) -> None:
        """Release the slice that was left; the run's outcome is its coordinator's. Raises LeaseLost."""
        match outcome:
            case LeaseLost():
                raise outcome
            case asyncio.CancelledError() if self.lease.is_lost:
                raise LeaseLost("the lease has expired")
            case asyncio.CancelledError() | HandBack():
                await self.lease.retry_while_held(lambda: self._slices.release(self._claim))
            case Exception():
                error = describe_and_count(outcome)
                log.warning("slice not exported", run_id=str(self.run_id), error=error.code, reason=error.message)
                await self.lease.retry_while_held(lambda: self._slices.release(self._claim))
            case _:
                raise outcome

    async def _build_order(self) -> RunOrder:
        run = await self.lease.retry_while_held(lambda: self._slices.read_shared_run(self.run_id))
        return RunOrder(
            run_id=run.run_id,
            job_id=run.job_id,
            slot=run.slot,
            settings=run.settings,
            window=run.window,
            certificates=run.certificates,
            source=self._settings.source,
            store=self._settings.store,
            store_options=self._settings.store_options,
            join=self._claim.snapshot,
            slice_rows=None,
            source_stall=self._settings.source_stall,
            is_native=self._is_native,
        )

    async def _claim_next(self) -> SliceClaim | None:
        """Claim another slice of the same run, provided that the worker's snapshot is still the run's."""
        if await self._must_hand_back():
            return None
        current = self._claim
        claim = await self.lease.retry_while_held(
            lambda: self._slices.claim(self._settings.name, self._settings.lease, run_id=current.run_id)
        )
        if claim is not None and claim.snapshot != current.snapshot:
            await self.lease.retry_while_held(lambda: self._slices.release(claim))
            return None
        return claim

    async def _must_hand_back(self) -> bool:
        if self._stopping.is_set():
            return True
        return await self.lease.retry_while_held(
            lambda: self._store.has_claimable_runs(tenant_limit=self._settings.tenant_limit)
        )
