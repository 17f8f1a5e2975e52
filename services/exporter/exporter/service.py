"""The exporter at work: claims runs while it has free slots, a process for each, and hands them back when it stops."""

import asyncio
import time
from collections.abc import Callable

from exporter.errors import LeaseLost
from exporter.lease import Lease
from exporter.objects import ObjectStore
from exporter.runwork import CancelAsked, RunWork
from exporter.settings import Settings
from exporter.store import Claim, RunStore
from exporter.sweep import sweep
from exporter.worker_process import WorkerProcess
from shared.errors import TransientError
from shared.events import RunCancelled
from shared.lifecycle import first_of
from shared.observe import LEASES_LOST, RUN_SECONDS, RUNS_CLAIMED, RUNS_ENDED, RUNS_WAITING, logger

log = logger(__name__)
_LONGEST_PAUSE = 2.0


class Exporter:
    """One of any number of equal exporters over the same runs."""

    def __init__(
        self, *, store: RunStore, objects: ObjectStore, settings: Settings, work: Callable[[Claim, Lease], RunWork]
    ) -> None:
        self._store = store
        self._objects = objects
        self._settings = settings
        self._work = work
        self._busy: dict[asyncio.Task[None], Lease] = {}
        self._spare: WorkerProcess | None = None
        self._woken = asyncio.Event()
        self._handing_back = asyncio.Event()

    def wake(self, why: str) -> None:
        """Look for work; on "cancel", or when something may have been missed (""), look at the runs in hand too."""
        self._woken.set()
        if why != "work":
            for lease in self._busy.values():
                lease.look()

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
                await first_of(self._woken, stopping, seconds=pause)
            await self._drain()
        finally:
            if self._spare is not None:
                await self._spare.kill()

    async def _turn(self) -> float:
        await self._end_unclaimed()
        RUNS_WAITING.set(await self._store.count_queued())
        while len(self._busy) < self._settings.slots:
            # A worker that is ready takes its order at once; starting one takes a good part of a second.
            worker = self._spare or await WorkerProcess.start()
            self._spare = worker
            claim = await self._store.claim(self._settings.name, self._settings.lease)
            if claim is None:
                break
            self._spare = None
            self._begin(claim, worker)
        seconds = await self._store.seconds_to_work(self._settings.name)
        return _LONGEST_PAUSE if seconds is None else min(_LONGEST_PAUSE, max(0.05, seconds))

    def _begin(self, claim: Claim, worker: WorkerProcess) -> None:
        lease = Lease(self._store, claim, self._settings.lease)
        task = asyncio.create_task(self._carry_out(claim, lease, worker), name=f"run {claim.run_id}")
        self._busy[task] = lease
        task.add_done_callback(self._ended)
        RUNS_CLAIMED.set(len(self._busy))
        log.info(
            "run claimed", run_id=str(claim.run_id), job_id=str(claim.job_id), attempt=claim.attempt, token=claim.token
        )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._busy.pop(task, None)
        RUNS_CLAIMED.set(len(self._busy))
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease runs out and somebody takes the run over: nothing is lost but time.
            log.error("run dropped", exc_info=error)

    async def _carry_out(self, claim: Claim, lease: Lease, worker: WorkerProcess) -> None:
        began = time.monotonic()
        work = self._work(claim, lease)
        keeping = asyncio.create_task(lease.keep(), name="lease")
        exporting = asyncio.create_task(work.export(worker), name="export")
        interrupted = asyncio.create_task(first_of(lease.over, self._handing_back), name="interruption")
        try:
            await asyncio.wait([exporting, interrupted], return_when=asyncio.FIRST_COMPLETED)
            if not exporting.done():
                await worker.kill()
                exporting.cancel()
            outcome = (await asyncio.gather(exporting, return_exceptions=True))[0]
            if outcome is None:
                RUN_SECONDS.observe(time.monotonic() - began)
            else:
                await self._settle(work, lease, outcome)
            log.info("run left", run_id=str(claim.run_id), outcome=type(outcome).__name__ if outcome else "succeeded")
        except LeaseLost:
            LEASES_LOST.inc()
            log.warning("lease lost", run_id=str(claim.run_id), token=claim.token)
        finally:
            interrupted.cancel()
            keeping.cancel()
            await worker.kill()
            await sweep(claim.run_id, self._store, self._objects)

    async def _settle(self, work: RunWork, lease: Lease, outcome: BaseException) -> None:
        match outcome:
            case LeaseLost():
                raise outcome
            case CancelAsked():
                await work.cancel()
            case asyncio.CancelledError() if lease.lost:
                raise LeaseLost("the lease ran out")
            case asyncio.CancelledError() if lease.cancelled:
                await work.cancel()
            case asyncio.CancelledError():
                await work.hand_back()
            case Exception():
                log.warning("attempt failed", error=type(outcome).__name__, exc_info=outcome)
                await work.fail(outcome)
            case _:
                raise outcome

    async def _drain(self) -> None:
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
            RUNS_ENDED.labels("cancelled").inc()
            await sweep(row["run_id"], self._store, self._objects)
