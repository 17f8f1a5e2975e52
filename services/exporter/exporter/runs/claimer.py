"""Claiming: runs while worker places are free, a process for each, handed back when the exporter stops.

A worker place without a run to claim helps with a large run of another exporter.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from exporter.errors import HandBack, LeaseLost
from exporter.package.objects import ObjectStore
from exporter.runs.claim_loop import ClaimLoop
from exporter.runs.counting import count_end
from exporter.runs.lease import Lease
from exporter.runs.lease_watch import LeaseWatch
from exporter.runs.stall_timer import StallTimer
from exporter.runs.sweep import sweep
from exporter.settings import Settings
from exporter.store.leases import HeldLease, LeaseStore
from exporter.store.runs import RunClaim, RunStore
from exporter.store.slices import SliceClaim, SliceStore
from exporter.worker.process import WorkerProcess
from shared.lifecycle import wait_for_first
from shared.observe import (
    LEASES_LOST,
    RUN_SILENT_SECONDS,
    RUNS_CLAIMED,
    RUNS_OLDEST_WAIT,
    RUNS_WAITING,
    TAKEOVERS,
    get_logger,
)

log = get_logger(__name__)
_HELP_RETRY_SECONDS, _MAX_HELP_RETRY_SECONDS = 5.0, 60.0


class ClaimedWork(Protocol):
    """A run, or slices of one, under a lease."""

    lease: Lease

    @property
    def run_id(self) -> UUID:
        """The run."""
        ...

    @property
    def stall_timer(self) -> StallTimer:
        """How long the work has stood still."""
        ...

    def wake(self) -> None:
        """Check whether other exporters have advanced the work."""
        ...

    async def export(self, worker: WorkerProcess) -> None:
        """Do the work."""
        ...

    async def record_outcome(self, outcome: BaseException) -> None:
        """Record why the work was left."""
        ...


class RunClaimer:
    """Claims and carries out runs; one of any number of equal exporters over the same runs."""

    def __init__(
        self,
        *,
        store: RunStore,
        slices: SliceStore,
        leases: LeaseStore,
        objects: ObjectStore,
        settings: Settings,
        coordinate: Callable[[RunClaim, asyncio.Event], ClaimedWork],
        help_with: Callable[[SliceClaim, asyncio.Event], ClaimedWork],
    ) -> None:
        self._store = store
        self._slices = slices
        self._leases = leases
        self._watch = LeaseWatch[HeldLease](settings.lease)
        self._objects = objects
        self._settings = settings
        self._coordinate = coordinate
        self._help_with = help_with
        self._work = ClaimLoop[ClaimedWork]("run", show_claimed=RUNS_CLAIMED.set, drain=settings.drain)
        self._spare: WorkerProcess | None = None
        self._help_after, self._help_pause = 0.0, _HELP_RETRY_SECONDS

    def wake(self, reason: str) -> None:
        """Check for work, and unless the reason is "work", check the runs in progress for cancellation too.

        The reason is a notification's payload: "work", "cancel", or "" when notifications may have been missed.
        """
        self._work.wake()
        for work in self._work:
            work.wake()
            if reason != "work":
                work.lease.check_now()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set, then finish or hand back the runs in progress."""
        try:
            await self._work.run(self._claim_all, stopping)
        finally:
            if self._spare is not None:
                await self._spare.kill()

    async def _claim_all(self) -> float | None:
        """Fill the free worker places; return the seconds until there may be more work, if that is known."""
        RUN_SILENT_SECONDS.set(max((work.stall_timer.seconds for work in self._work), default=0.0))
        if expired := self._watch.find_expired(await self._leases.list_held()):
            await self._leases.expire(expired)
        await self._cancel_unclaimed()
        waiting, oldest = await self._store.measure_queue()
        RUNS_WAITING.set(waiting)
        RUNS_OLDEST_WAIT.set(oldest)
        while len(self._work) < self._settings.slots:
            # A ready worker accepts its order at once; starting one takes a good part of a second.
            worker = self._spare or await WorkerProcess.start()
            self._spare = worker
            work = await self._claim()
            if work is None:
                break
            self._spare = None
            self._work.begin(work, self._carry_out(work, worker), name=f"run {work.run_id}")
        # Started while others work, so that it is ready for the next run's order.
        self._spare = self._spare or await WorkerProcess.start()
        waits = (await self._store.get_seconds_to_retry(), self._watch.get_seconds_to_expiry())
        return min((seconds for seconds in waits if seconds is not None), default=None)

    async def _claim(self) -> ClaimedWork | None:
        """Claim a run, or else a slice of another exporter's: runs first, so that a huge one starves no other (R4)."""
        settings = self._settings
        claim = await self._store.claim(settings.name, settings.lease, tenant_limit=settings.tenant_limit)
        if claim is not None:
            if claim.taken_over:
                TAKEOVERS.labels("run").inc()
            log.info(
                "run claimed",
                run_id=str(claim.run_id),
                job_id=str(claim.job_id),
                attempt=claim.attempt,
                token=claim.token,
                taken_over=claim.taken_over,
            )
            return self._coordinate(claim, self._work.stopping)
        if time.monotonic() < self._help_after:
            return None
        slice_claim = await self._slices.claim(settings.name, settings.lease)
        if slice_claim is None:
            return None
        log.info(
            "slice claimed",
            run_id=str(slice_claim.run_id),
            kind=slice_claim.kind,
            slice=slice_claim.number,
            token=slice_claim.token,
        )
        return self._help_with(slice_claim, self._work.stopping)

    async def _carry_out(self, work: ClaimedWork, worker: WorkerProcess) -> None:
        renewing = asyncio.create_task(work.lease.keep_renewing(), name="lease")
        exporting = asyncio.create_task(work.export(worker), name="export")
        interrupted = asyncio.create_task(
            wait_for_first(work.lease.ended, self._work.handing_back), name="interruption"
        )
        try:
            await asyncio.wait([exporting, interrupted], return_when=asyncio.FIRST_COMPLETED)
            if not exporting.done():
                # In this order: a worker's end that is noticed first would be recorded as a failed attempt (R7).
                exporting.cancel()
                await worker.kill()
            outcome = (await asyncio.gather(exporting, return_exceptions=True))[0]
            if outcome is not None:
                # Anything that the worker still does would be discarded.
                await worker.kill()
                await work.record_outcome(outcome)
                if not isinstance(outcome, HandBack | asyncio.CancelledError):
                    # A helper that cannot reach the source must not claim slices again and again.
                    self._help_after = time.monotonic() + self._help_pause
                    self._help_pause = min(_MAX_HELP_RETRY_SECONDS, 2 * self._help_pause)
            else:
                self._help_pause = _HELP_RETRY_SECONDS
            log.info("claim ended", run_id=str(work.run_id), outcome=type(outcome).__name__ if outcome else "done")
        except LeaseLost:
            LEASES_LOST.inc()
            log.warning("lease lost", run_id=str(work.run_id))
        finally:
            interrupted.cancel()
            renewing.cancel()
            await worker.kill()
            await sweep(work.run_id, self._store, self._objects)

    async def _cancel_unclaimed(self) -> None:
        for event in await self._store.cancel_unclaimed():
            count_end("cancelled", event.reason)
            await sweep(event.run_id, self._store, self._objects)
