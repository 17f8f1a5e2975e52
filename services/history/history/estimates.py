"""Estimates: follows running runs and says when they will be done (H3, H4), at most once a second a run."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from history.estimator import Progress
from history.estimator.following import Following
from history.projections import TERMINAL
from history.projections.life import STATES
from history.store.estimates import EstimateStore, Memory, Score
from shared import codec, events
from shared.clock import Clock, SystemClock
from shared.errors import TransientError
from shared.kafka import Producer
from shared.lifecycle import first_of
from shared.observe import ESTIMATES_SENT, ETA_BAND_COVERAGE, ETA_ERROR_RATIO, logger

SOURCE = "history"
log = logger(__name__)

_EVERY = 1.0
_STORE_EVERY = 3.0


@dataclass(slots=True)
class Tracked:
    """A run that has not ended, as far as this process knows; (token, seq) is the latest progress it took."""

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    partition: int
    following: Following
    token: int = 0
    seq: int = -1
    life: tuple[int, int] = (0, -1)
    began: float | None = None
    changed: bool = True
    unstored: bool = True


class Estimates:
    """Takes events one by one and sends estimates; a process that takes over goes on from the stored memories."""

    def __init__(self, store: EstimateStore, producer: Producer, clock: Clock | None = None) -> None:
        self._store = store
        self._producer = producer
        self._clock = clock or SystemClock()
        self._runs: dict[UUID, Tracked] = {}
        self._stored = 0.0

    async def take(self, event: events.Event, partition: int) -> None:
        """Take one event; old ones and doubles change nothing. Raises PostgresUnavailable."""
        match event:
            case events.RunProgressed():
                self._progressed(await self._tracked(event, partition), event)
            case events.SlotTriggered() | events.RunQueued():
                await self._tracked(event, partition)
            case events.RunEvent():
                await self._lived(event, partition)
            case _:
                return

    def keep_only(self, partitions: Iterable[int]) -> None:
        """Forget the runs of partitions that others have now."""
        kept = frozenset(partitions)
        self._runs = {run_id: run for run_id, run in self._runs.items() if run.partition in kept}

    async def run(self, stopping: asyncio.Event) -> None:
        """Send estimates and store memories until `stopping` is set, and store once more at the end."""
        while not stopping.is_set():
            try:
                await self.send()
                await self.store_some()
            except TransientError as error:
                log.warning("estimates not sent or stored, trying again", error=str(error))
            await first_of(stopping, seconds=_EVERY)
        await self.store_all()

    async def send(self) -> None:
        """Send an estimate for each run of which something new is known."""
        now = self._clock.now()
        changed = [run for run in self._runs.values() if run.changed]
        records = [codec.encode(self._estimate(run), source=SOURCE, at=now) for run in changed]
        if records:
            await self._producer.send(records)
            ESTIMATES_SENT.inc(len(records))
        for run in changed:
            run.changed = False

    async def store_some(self) -> None:
        """Store what has changed, every few seconds."""
        now = self._clock.now().timestamp()
        if now - self._stored >= _STORE_EVERY:
            self._stored = now
            await self.store_all()

    async def store_all(self) -> None:
        """Store what has changed."""
        unstored = [run for run in self._runs.values() if run.unstored]
        await self._store.save([_memory(run) for run in unstored], self._clock.now())
        for run in unstored:
            run.unstored = False

    async def _tracked(
        self, event: events.SlotTriggered | events.RunEvent | events.RunProgressed, partition: int
    ) -> Tracked:
        run = self._runs.get(event.run_id)
        if run is None:
            memory = await self._store.memory(event.run_id, event.job_id)
            earlier = await self._store.earlier_runs(event.job_id, event.run_id)
            following = Following.begin(earlier, memory.state["following"] if memory else None)
            run = Tracked(event.run_id, event.job_id, event.tenant_id, partition, following)
            if memory is not None:
                run.token, run.seq = memory.token, memory.seq
                run.life, run.began = (memory.state["life"][0], memory.state["life"][1]), memory.state["began"]
            self._runs[event.run_id] = run
        return run

    def _progressed(self, run: Tracked, event: events.RunProgressed) -> None:
        if (event.token, event.seq) <= (run.token, run.seq) or event.token < run.life[0]:
            return
        run.token, run.seq, run.changed, run.unstored = event.token, event.seq, True, True
        if run.began is None:
            run.began = event.at.timestamp()
        run.following.push(_progress(event))

    async def _lived(self, event: events.RunEvent, partition: int) -> None:
        state = STATES.get(type(event))
        known = event.run_id in self._runs
        if state in TERMINAL:
            await self._ended(event, await self._tracked(event, partition) if known else None)
        elif state == "running":
            run = await self._tracked(event, partition)
            if (event.token, event.seq) > run.life:
                run.life, run.unstored = (event.token, event.seq), True
                run.began = event.at.timestamp()

    async def _ended(self, event: events.RunEvent, run: Tracked | None) -> None:
        if run is None and await self._store.memory(event.run_id, event.job_id) is not None:
            run = await self._tracked(event, -1)
        if run is not None and isinstance(event, events.RunSucceeded):
            await self._score(run, event)
        self._runs.pop(event.run_id, None)
        await self._store.drop([event.run_id])

    async def _score(self, run: Tracked, event: events.RunSucceeded) -> None:
        ended = event.at.timestamp()
        found = run.following.score(run.began or ended, ended)
        error, coverage = found or (None, None)
        if error is not None and coverage is not None:
            ETA_ERROR_RATIO.observe(error)
            ETA_BAND_COVERAGE.observe(coverage)
        shown = run.following.shown
        score = Score(
            run_id=run.run_id,
            job_id=run.job_id,
            tenant_id=run.tenant_id,
            curve=run.following.estimator.curve(event.rows, ended),
            estimates=sum(each.count for each in shown),
            error_ratio=error,
            coverage=coverage,
            shown=[[each.ts, each.end, each.low, each.high] for each in shown],
        )
        await self._store.save_score(score, self._clock.now())

    def _estimate(self, run: Tracked) -> events.RunEstimated:
        now = self._clock.now()
        eta, low, high = run.following.eta(now.timestamp())
        return events.RunEstimated(
            job_id=run.job_id,
            tenant_id=run.tenant_id,
            run_id=run.run_id,
            token=max(run.token, run.life[0]),
            # Rises across processes too, without their having to agree.
            seq=int(now.timestamp() * 1000),
            at=now,
            progress=run.following.share,
            eta_seconds=eta,
            eta_low=low,
            eta_high=high,
        )


def _memory(run: Tracked) -> Memory:
    state = {"following": run.following.dump(), "life": list(run.life), "began": run.began}
    return Memory(run_id=run.run_id, job_id=run.job_id, token=run.token, seq=run.seq, state=state)


def _progress(event: events.RunProgressed) -> Progress:
    return Progress(
        run_id=str(event.run_id),
        ts=event.at.timestamp(),
        units_done=float(event.units_done),
        units_total=float(event.units_total) if event.units_total is not None else None,
        bytes=float(event.bytes_done),
        slices=event.slices,
        phase=event.phase,
    )
