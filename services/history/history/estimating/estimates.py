"""Estimates of running runs (H3, H4), emitted at most once a second per run."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from history.estimating.estimator import ProgressSample
from history.estimating.tracking import ActiveRun, RunTracker, TrackedEvent
from history.recording.projections import TERMINAL_STATES
from history.store import SOURCE
from history.store.estimates import EstimateScore, EstimateStore
from shared import codec, events
from shared.clock import Clock, SystemClock
from shared.errors import TransientError
from shared.kafka import Producer
from shared.lifecycle import wait_for_first
from shared.observe import ESTIMATES_SENT, ETA_BAND_COVERAGE, ETA_ERROR_RATIO, get_logger

log = get_logger(__name__)

# Seconds between estimates of a run with news, and of one without.
_INTERVAL, _IDLE_INTERVAL = 1.0, 5.0
_SAVE_INTERVAL, _CLEANUP_INTERVAL = 3.0, 60.0
_CHUNK = 200  # estimates computed before other tasks get a turn


class EstimateService:
    """Applies events one by one and emits estimates; a process that takes over continues from the stored states."""

    def __init__(self, store: EstimateStore, producer: Producer, clock: Clock | None = None) -> None:
        self._store = store
        self._producer = producer
        self._clock = clock or SystemClock()
        self._tracker = RunTracker(store)
        self._saved_at = self._cleaned_at = 0.0

    async def apply(self, event: events.Event, partition: int) -> None:
        """Apply one event; old and duplicate ones change nothing. Raises PostgresUnavailable."""
        match event:
            case events.RunProgressed() | events.SlotTriggered() | events.RunQueued() | events.RunStarted():
                run = self._tracker.find(event.run_id)
                if run is not None:
                    _apply(run, event)
                elif self._tracker.defer(event, partition):
                    await self._load()
            case events.RunEvent() if events.state_after(event) in TERMINAL_STATES:
                await self._end(event, partition)
            case _:
                return

    def retain_partitions(self, partitions: Iterable[int]) -> None:
        """Drop the runs of partitions that this process no longer owns."""
        self._tracker.retain_partitions(partitions)

    async def run(self, stopping: asyncio.Event) -> None:
        """Emit estimates and store states until `stopping` is set, and store once more at the end.

        Raises PostgresUnavailable where that last time fails.
        """
        while not stopping.is_set():
            try:
                await self.emit()
                await self._maintain()
            except TransientError as error:
                log.warning("retrying to emit and store estimates", error=str(error))
            await wait_for_first(stopping, seconds=_INTERVAL)
        await self.save()

    async def emit(self) -> None:
        """Emit an estimate of each run with news, and of the others every 5 s.

        Raises PostgresUnavailable or KafkaUnavailable.
        """
        await self._load()
        idle_since = self._clock.now().timestamp() - _IDLE_INTERVAL
        due = [run for run in self._tracker if run.changed or run.emitted_at <= idle_since]
        for start in range(0, len(due), _CHUNK):
            await self._emit(due[start : start + _CHUNK])

    async def _emit(self, due: Sequence[ActiveRun]) -> None:
        now = self._clock.now()
        await self._producer.send([codec.encode(_estimate(run, now), source=SOURCE, at=now) for run in due])
        ESTIMATES_SENT.inc(len(due))
        for run in due:
            run.changed, run.emitted_at = False, now.timestamp()

    async def save(self) -> None:
        """Store the states that have changed. Raises PostgresUnavailable."""
        unsaved = [run for run in self._tracker if run.unsaved]
        for run in unsaved:
            run.unsaved = False
        try:
            await self._store.save_states([run.dump() for run in unsaved], self._clock.now())
        except TransientError:
            for run in unsaved:
                run.unsaved = True
            raise

    async def _maintain(self) -> None:
        now = self._clock.now().timestamp()
        if now - self._saved_at >= _SAVE_INTERVAL:
            self._saved_at = now
            await self.save()
        if now - self._cleaned_at >= _CLEANUP_INTERVAL:
            self._cleaned_at = now
            await self._tracker.drop_ended()

    async def _load(self, ending: UUID | None = None) -> None:
        for run, deferred in await self._tracker.load(ending):
            for event in deferred:
                _apply(run, event)

    async def _end(self, event: events.RunEvent, partition: int) -> None:
        run = self._tracker.find(event.run_id)
        if run is None:
            await self._load(event.run_id)
        run = self._tracker.find(event.run_id) or await self._tracker.load_ended(event, partition)
        if run is not None:
            await self._score(run, event)
        self._tracker.forget(event.run_id)

    async def _score(self, run: ActiveRun, event: events.RunEvent) -> None:
        followed, ended_at = run.followed, event.at.timestamp()
        success = event if isinstance(event, events.RunSucceeded | events.RunSucceededV1) else None
        # The estimates of a failed or cancelled run are kept, but they are neither right nor wrong.
        scored = followed.score(followed.started_at or ended_at, ended_at) if success else None
        error_ratio, coverage = scored or (None, None)
        if error_ratio is not None and coverage is not None:
            ETA_ERROR_RATIO.observe(error_ratio)
            ETA_BAND_COVERAGE.observe(coverage)
        score = EstimateScore(
            run_id=run.run_id,
            job_id=run.job_id,
            tenant_id=run.tenant_id,
            curve=followed.estimator.time_curve(success.rows, ended_at) if success else None,
            estimates=sum(each.count for each in followed.displayed),
            error_ratio=error_ratio,
            coverage=coverage,
            shown=[[each.ts, each.end, each.low, each.high] for each in followed.displayed],
            points=followed.estimator.progress_points(),
        )
        await self._store.save_score(score, self._clock.now())


def _apply(run: ActiveRun, event: TrackedEvent) -> None:
    match event:
        case events.RunProgressed():
            if (event.token, event.seq) > (run.token, run.seq) and event.token >= run.claim[0]:
                run.token, run.seq, run.changed, run.unsaved = event.token, event.seq, True, True
                run.followed.observe(_to_sample(event))
        case events.RunStarted():
            if (event.token, event.seq) > run.claim:
                run.claim, run.changed, run.unsaved = (event.token, event.seq), True, True
                run.followed.mark_started(event.at.timestamp())
        case events.RunQueued():
            run.followed.mark_queued(event.at.timestamp())
            run.unsaved = True
        case events.SlotTriggered():
            run.followed.mark_queued(event.triggered_at.timestamp())
            run.unsaved = True


def _estimate(run: ActiveRun, now: datetime) -> events.RunEstimated:
    remaining, low, high = run.followed.estimate(now.timestamp())
    return events.RunEstimated(
        job_id=run.job_id,
        tenant_id=run.tenant_id,
        run_id=run.run_id,
        token=max(run.token, run.claim[0]),
        # Milliseconds rise across processes as well, without coordination.
        seq=int(now.timestamp() * 1000),
        at=now,
        progress=run.followed.progress,
        eta_seconds=remaining,
        eta_low=low,
        eta_high=high,
    )


def _to_sample(event: events.RunProgressed) -> ProgressSample:
    return ProgressSample(
        run_id=str(event.run_id),
        ts=event.at.timestamp(),
        units_done=float(event.units_done),
        units_total=float(event.units_total) if event.units_total is not None else None,
        bytes=float(event.bytes_done),
        slices=event.slices,
        phase=event.phase,
    )
