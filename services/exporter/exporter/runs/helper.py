"""Helping with a large run that another exporter coordinates: slice after slice, while no run waits for the slot."""

import asyncio
from uuid import UUID

from exporter.errors import GiveBack, LeaseLost
from exporter.runs.lease import Lease
from exporter.runs.outcome import counted_in_words
from exporter.runs.slices import export_slice
from exporter.runs.stall_timer import Silence
from exporter.settings import Settings
from exporter.store.runs import RunStore
from exporter.store.slices import SliceClaim, SliceStore
from exporter.worker.process import WorkerProcess
from exporter.worker.protocol import Opened, Order
from shared.clock import Clock
from shared.observe import SLICES_HELPED, get_logger

log = get_logger(__name__)


class HelpWork:
    """Slices of one run, each under a lease and a token of its own."""

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
        self.silence = Silence()
        self.failed = False

    @property
    def run_id(self) -> UUID:
        """The run that is helped with."""
        return self._claim.run_id

    def wake(self) -> None:
        """Helpers look at every part's end, which is soon enough."""

    async def export(self, worker: WorkerProcess) -> None:
        """Export slices until there are none, or a run waits. Raises ExportError, WorkerDied, GiveBack or LeaseLost."""
        await worker.order(await self._order())
        opened = await worker.hear()
        assert isinstance(opened, Opened)
        claim: SliceClaim | None = self._claim
        while claim is not None:
            self._claim = claim
            await export_slice(
                claim,
                worker,
                store=self._slices,
                lease=self.lease,
                is_to_stop=self._is_to_stop,
                on_said=self.silence.at,
            )
            SLICES_HELPED.inc()
            claim = await self._next()

    async def settle(self, outcome: BaseException) -> None:
        """Give back the slice that was left; its run is its coordinator's matter. Raises LeaseLost."""
        match outcome:
            case LeaseLost():
                raise outcome
            case asyncio.CancelledError() if self.lease.lost:
                raise LeaseLost("the lease ran out")
            case asyncio.CancelledError() | GiveBack():
                await self.lease.insist(lambda: self._slices.release(self._claim))
            case Exception():
                self.failed = True
                code, message, _ = counted_in_words(outcome)
                log.warning("help failed", run_id=str(self.run_id), error=code, reason=message)
                await self.lease.insist(lambda: self._slices.release(self._claim))
            case _:
                raise outcome

    async def _order(self) -> Order:
        run = await self.lease.insist(lambda: self._slices.shared_run(self.run_id))
        return Order(
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
            is_native=self._is_native,
        )

    async def _next(self) -> SliceClaim | None:
        """Take another slice of the same run, where the snapshot that the worker has open is still the run's."""
        if await self._is_to_stop():
            return None
        mine = self._claim
        claim = await self.lease.insist(
            lambda: self._slices.claim(self._settings.name, self._settings.lease, run_id=mine.run_id)
        )
        if claim is not None and claim.snapshot != mine.snapshot:
            await self.lease.insist(lambda: self._slices.release(claim))
            return None
        return claim

    async def _is_to_stop(self) -> bool:
        if self._stopping.is_set():
            return True
        return await self.lease.insist(lambda: self._store.runs_wait(tenant_limit=self._settings.tenant_limit))
