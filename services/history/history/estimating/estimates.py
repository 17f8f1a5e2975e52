"""Estimates: follows running runs and says when they will be done (H3, H4), at most once a second a run."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from history.estimating.estimator import Progress
from history.estimating.tracking import About, Tracked, Tracking
from history.recording.projections import TERMINAL
from history.store import SOURCE
from history.store.estimates import EstimateStore, Score
from shared import codec, events
from shared.clock import Clock, SystemClock
from shared.errors import TransientError
from shared.kafka import Producer
from shared.lifecycle import wait_for_first
from shared.observe import ESTIMATES_SENT, ETA_BAND_COVERAGE, ETA_ERROR_RATIO, get_logger

log = get_logger(__name__)

_EVERY, _ANYWAY_EVERY = 1.0, 5.0
_STORE_EVERY, _DROP_EVERY = 3.0, 60.0
_AT_ONCE = 200  # estimates before others get a turn


class Estimates:
    """Takes events one by one and sends estimates; a process that takes over goes on from the stored memories."""

    def __init__(self, store: EstimateStore, producer: Producer, clock: Clock | None = None) -> None:
        self._store = store
        self._producer = producer
        self._clock = clock or SystemClock()
        self._tracking = Tracking(store)
        self._stored_at = self._dropped_at = 0.0

    async def take(self, event: events.Event, partition: int) -> None:
        """Take one event; old ones and doubles change nothing. Raises PostgresUnavailable."""
        match event:
            case events.RunProgressed() | events.SlotTriggered() | events.RunQueued() | events.RunStarted():
                run = self._tracking.find(event.run_id)
                if run is not None:
                    _take(run, event)
                elif self._tracking.put_off(event, partition):
                    await self._load()
            case events.RunEvent() if events.state_after(event) in TERMINAL:
                await self._ended(event, partition)
            case _:
                return

    def keep_only(self, partitions: Iterable[int]) -> None:
        """Forget the runs of partitions that others have now."""
        self._tracking.keep_only(partitions)

    async def run(self, stopping: asyncio.Event) -> None:
        """Send estimates and store memories until `stopping` is set, and store once more at the end."""
        while not stopping.is_set():
            try:
                await self.send()
                await self._keep()
            except TransientError as error:
                log.warning("estimates not sent or stored, trying again", error=str(error))
            await wait_for_first(stopping, seconds=_EVERY)
        await self.store()

    async def send(self) -> None:
        """Send an estimate for each run of which something new is known, and for the others now and then."""
        await self._load()
        now = self._clock.now()
        since = now.timestamp() - _ANYWAY_EVERY
        due = [run for run in self._tracking if run.changed or run.sent_at <= since]
        for place in range(0, len(due), _AT_ONCE):
            await self._send(due[place : place + _AT_ONCE])

    async def _send(self, due: Sequence[Tracked]) -> None:
        now = self._clock.now()
        await self._producer.send([codec.encode(_estimate(run, now), source=SOURCE, at=now) for run in due])
        ESTIMATES_SENT.inc(len(due))
        for run in due:
            run.changed, run.sent_at = False, now.timestamp()

    async def store(self) -> None:
        """Store what has changed."""
        unstored = [run for run in self._tracking if run.unstored]
        for run in unstored:
            run.unstored = False
        try:
            await self._store.save([run.memory() for run in unstored], self._clock.now())
        except TransientError:
            for run in unstored:
                run.unstored = True
            raise

    async def _keep(self) -> None:
        now = self._clock.now().timestamp()
        if now - self._stored_at >= _STORE_EVERY:
            self._stored_at = now
            await self.store()
        if now - self._dropped_at >= _DROP_EVERY:
            self._dropped_at = now
            await self._tracking.drop_ended()

    async def _load(self, ending: UUID | None = None) -> None:
        for run, told in await self._tracking.load(ending):
            for event in told:
                _take(run, event)

    async def _ended(self, event: events.RunEvent, partition: int) -> None:
        run = self._tracking.find(event.run_id)
        if run is None:
            await self._load(event.run_id)
        run = self._tracking.find(event.run_id) or await self._tracking.stored(event, partition)
        if run is not None:
            await self._score(run, event)
        self._tracking.forget(event.run_id)

    async def _score(self, run: Tracked, event: events.RunEvent) -> None:
        following, ended = run.following, event.at.timestamp()
        done = event if isinstance(event, events.RunSucceeded | events.RunSucceededV1) else None
        # What was said of the end of a run that has failed or was cancelled is kept, but neither right nor wrong.
        found = following.score(following.began_at or ended, ended) if done else None
        error, coverage = found or (None, None)
        if error is not None and coverage is not None:
            ETA_ERROR_RATIO.observe(error)
            ETA_BAND_COVERAGE.observe(coverage)
        score = Score(
            run_id=run.run_id,
            job_id=run.job_id,
            tenant_id=run.tenant_id,
            curve=following.estimator.curve(done.rows, ended) if done else None,
            estimates=sum(each.count for each in following.shown),
            error_ratio=error,
            coverage=coverage,
            shown=[[each.ts, each.end, each.low, each.high] for each in following.shown],
            points=following.estimator.points(),
        )
        await self._store.save_score(score, self._clock.now())


def _take(run: Tracked, event: About) -> None:
    match event:
        case events.RunProgressed():
            if (event.token, event.seq) > (run.token, run.seq) and event.token >= run.life[0]:
                run.token, run.seq, run.changed, run.unstored = event.token, event.seq, True, True
                run.following.push(_progress(event))
        case events.RunStarted():
            if (event.token, event.seq) > run.life:
                run.life, run.changed, run.unstored = (event.token, event.seq), True, True
                run.following.started(event.at.timestamp())
        case events.RunQueued():
            run.following.queued(event.at.timestamp())
            run.unstored = True
        case events.SlotTriggered():
            run.following.queued(event.triggered_at.timestamp())
            run.unstored = True


def _estimate(run: Tracked, now: datetime) -> events.RunEstimated:
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
