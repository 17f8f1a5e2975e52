"""The exporter at work: claims runs while it has free slots, a process for each, and hands them back when it stops.

A slot without a run to claim helps with a large run of another exporter.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from exporter.errors import GiveBack, LeaseLost
from exporter.package.objects import ObjectStore
from exporter.runs.lease import Lease
from exporter.runs.stall_timer import Silence
from exporter.runs.sweep import sweep
from exporter.settings import Settings
from exporter.store.runs import Claim, RunStore
from exporter.store.slices import SliceClaim, SliceStore
from exporter.worker.process import WorkerProcess
from shared.errors import TransientError
from shared.events import RunCancelled
from shared.lifecycle import wait_for_first
from shared.observe import (
    LEASES_LOST,
    RUN_SILENT_SECONDS,
    RUNS_CLAIMED,
    RUNS_ENDED,
    RUNS_OLDEST_WAIT,
    RUNS_WAITING,
    TAKEOVERS,
    get_logger,
)

log = get_logger(__name__)
_LONGEST_PAUSE = 2.0
_HELP_AGAIN_SECONDS = 5.0


class Work(Protocol):
    """A run, or slices of one, under a lease."""

    lease: Lease
    silence: Silence

    @property
    def run_id(self) -> UUID:
        """The run."""
        ...

    def wake(self) -> None:
        """Look whether others have moved the work on."""
        ...

    async def export(self, worker: WorkerProcess) -> None:
        """Do the work."""
        ...

    async def settle(self, outcome: BaseException) -> None:
        """Record why the work was left."""
        ...


class Exporter:
    """One of any number of equal exporters over the same runs."""

    def __init__(
        self,
        *,
        store: RunStore,
        slices: SliceStore,
        objects: ObjectStore,
        settings: Settings,
        work: Callable[[Claim, asyncio.Event], Work],
        help_work: Callable[[SliceClaim, asyncio.Event], Work],
    ) -> None:
        self._store = store
        self._slices = slices
        self._objects = objects
        self._settings = settings
        self._work = work
        self._help_work = help_work
        self._busy: dict[asyncio.Task[None], Work] = {}
        self._spare: WorkerProcess | None = None
        self._help_from = 0.0
        self._woken = asyncio.Event()
        self._leaving = asyncio.Event()
        self._handing_back = asyncio.Event()

    def wake(self, why: str) -> None:
        """Look for work; on "cancel", or when something may have been missed (""), look at the runs in hand too."""
        self._woken.set()
        for work in self._busy.values():
            work.wake()
            if why != "work":
                work.lease.look()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set, then finish or hand back what is in hand."""
        try:
            while not stopping.is_set():
                self._woken.clear()
                try:
                    pause = await self._turn()
                except TransientError as error:
                    log.warning("cannot look for work, trying again", error=str(error))
                    pause = _LONGEST_PAUSE
                await wait_for_first(self._woken, stopping, seconds=pause)
            await self._drain()
        finally:
            if self._spare is not None:
                await self._spare.kill()

    async def _turn(self) -> float:
        RUN_SILENT_SECONDS.set(max((work.silence.seconds for work in self._busy.values()), default=0.0))
        await self._end_unclaimed()
        waiting, oldest = await self._store.queue()
        RUNS_WAITING.set(waiting)
        RUNS_OLDEST_WAIT.set(oldest)
        while len(self._busy) < self._settings.slots:
            # A worker that is ready takes its order at once; starting one takes a good part of a second.
            worker = self._spare or await WorkerProcess.start()
            self._spare = worker
            work = await self._claim()
            if work is None:
                break
            self._spare = None
            self._begin(work, worker)
        # Made ready while others work, so that the next run's order finds it listening.
        self._spare = self._spare or await WorkerProcess.start()
        seconds = await self._store.seconds_to_work(self._settings.name)
        return _LONGEST_PAUSE if seconds is None else min(_LONGEST_PAUSE, max(0.05, seconds))

    async def _claim(self) -> Work | None:
        """Take a run, or else a slice of somebody's: runs first, so that a huge one starves nobody (R4)."""
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
            return self._work(claim, self._leaving)
        if time.monotonic() < self._help_from:
            return None
        part = await self._slices.claim(settings.name, settings.lease)
        if part is None:
            return None
        log.info("slice claimed", run_id=str(part.run_id), kind=part.kind, slice=part.number, token=part.token)
        return self._help_work(part, self._leaving)

    def _begin(self, work: Work, worker: WorkerProcess) -> None:
        task = asyncio.create_task(self._carry_out(work, worker), name=f"run {work.run_id}")
        self._busy[task] = work
        task.add_done_callback(self._ended)
        RUNS_CLAIMED.set(len(self._busy))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._busy.pop(task, None)
        RUNS_CLAIMED.set(len(self._busy))
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease runs out and somebody takes the run over: nothing is lost but time.
            log.error("run dropped", exc_info=error)

    async def _carry_out(self, work: Work, worker: WorkerProcess) -> None:
        keeping = asyncio.create_task(work.lease.keep(), name="lease")
        exporting = asyncio.create_task(work.export(worker), name="export")
        interrupted = asyncio.create_task(wait_for_first(work.lease.over, self._handing_back), name="interruption")
        try:
            await asyncio.wait([exporting, interrupted], return_when=asyncio.FIRST_COMPLETED)
            if not exporting.done():
                # In this order: a worker's end that is seen first would pass for a failed attempt (R7).
                exporting.cancel()
                await worker.kill()
            outcome = (await asyncio.gather(exporting, return_exceptions=True))[0]
            if outcome is not None:
                # What else the worker does from here on would be thrown away.
                await worker.kill()
                await work.settle(outcome)
                if not isinstance(outcome, GiveBack | asyncio.CancelledError):
                    self._help_from = time.monotonic() + _HELP_AGAIN_SECONDS
            log.info("run left", run_id=str(work.run_id), outcome=type(outcome).__name__ if outcome else "done")
        except LeaseLost:
            LEASES_LOST.inc()
            log.warning("lease lost", run_id=str(work.run_id))
        finally:
            interrupted.cancel()
            keeping.cancel()
            await worker.kill()
            await sweep(work.run_id, self._store, self._objects)

    async def _drain(self) -> None:
        self._leaving.set()
        if self._busy:
            await asyncio.wait(self._busy, timeout=self._settings.drain.total_seconds())
        self._handing_back.set()
        if self._busy:
            await asyncio.wait(self._busy)

    async def _end_unclaimed(self) -> None:
        async with self._store.transaction() as database:
            rows = await self._store.end_unclaimed(database)
            for row in rows:
                event = RunCancelled(
                    job_id=row["job_id"],
                    tenant_id=row["tenant_id"],
                    run_id=row["run_id"],
                    token=row["token"],
                    seq=row["seq"],
                    at=row["ended_at"],
                    reason=row["cancel_reason"],
                    requested_by=row["cancel_by"],
                )
                await self._store.write_events(database, [event], row["ended_at"])
        for row in rows:
            RUNS_ENDED.labels("cancelled", row["cancel_reason"]).inc()
            await sweep(row["run_id"], self._store, self._objects)
