"""How many running exports one core estimates: for each, one event decoded, one estimate emitted, one state stored."""

import json
import time
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import cast
from uuid import UUID, uuid4

from history.estimating.estimates import EstimateService
from history.estimating.estimator import EarlierRun
from history.store.estimates import EstimateStore, EstimationContext, EstimatorState
from shared import codec, events
from shared.kafka import Producer
from tests.bench.eta.traces import Event, Trace

_ROUNDS = 3
_TENANT = uuid4()


class _Store:
    """Returns earlier runs; states to store are serialized and then dropped."""

    def __init__(self, earlier: dict[UUID, list[EarlierRun]]) -> None:
        self._earlier = earlier

    async def load_contexts(self, runs: Sequence[tuple[UUID, UUID]]) -> dict[UUID, EstimationContext]:
        """Return for each run that it has just begun."""
        return {run_id: self._context(run_id) for run_id, _ in runs}

    def _context(self, run_id: UUID) -> EstimationContext:
        return EstimationContext(run_state=None, estimator_state=None, earlier_runs=self._earlier[run_id], waits=[])

    async def save_states(self, states: Sequence[EstimatorState], _: datetime) -> None:
        """Serialize states."""
        for state in states:
            json.dumps(state.state)

    async def find_ended(self, _: Collection[UUID]) -> set[UUID]:
        """Return no run: none has ended."""
        return set()


class _Kafka:
    """Counts the records sent to it."""

    def __init__(self) -> None:
        self.sent = 0

    async def send(self, records: Iterable[codec.Record]) -> None:
        """Count records."""
        self.sent += len(list(records))


async def measure_estimates_per_second(traces: Sequence[Trace], runs: int) -> float:
    """Return the estimates per second of processor time, without the work of Kafka and PostgreSQL themselves."""
    long = [trace for trace in traces if len(trace.events) >= 4 * _ROUNDS]
    followed = [_Followed(long[number % len(long)]) for number in range(runs)]
    store, kafka = _Store({each.run_id: each.earlier for each in followed}), _Kafka()
    estimates = EstimateService(cast("EstimateStore", store), cast("Producer", kafka))
    for each in followed:
        for record in each.records[:-_ROUNDS]:
            await estimates.apply(codec.decode(record).event, 0)
    await estimates.emit()
    before, began = kafka.sent, time.process_time()
    for place in range(-_ROUNDS, 0):
        for each in followed:
            await estimates.apply(codec.decode(each.records[place]).event, 0)
        await estimates.emit()
        await estimates.save()
    return (kafka.sent - before) / (time.process_time() - began)


class _Followed:
    """A run in the middle of a trace, as records of its progress."""

    def __init__(self, trace: Trace) -> None:
        self.run_id, self._job_id = uuid4(), uuid4()
        self.earlier = [EarlierRun.from_object(each) for each in trace.earlier]
        began = datetime.now(UTC) - timedelta(seconds=trace.duration / 2)
        shift = began.timestamp() - trace.started_at
        samples = list(islice(trace.events, 1, len(trace.events) // 2 + 1))
        self.records = [self._record(seq, each, shift) for seq, each in enumerate(samples)]

    def _record(self, seq: int, sample: Event, shift: float) -> codec.Received:
        event = events.RunProgressed(
            job_id=self._job_id,
            tenant_id=_TENANT,
            run_id=self.run_id,
            token=1,
            seq=seq,
            at=datetime.fromtimestamp(sample.ts + shift, UTC),
            phase="export",
            units_done=sample.units_done,
            units_total=sample.units_total,
            total_exact=True,
            bytes_done=sample.bytes,
            slices=tuple(sample.slices) if sample.slices else None,
        )
        record = codec.encode(event, source="bench", at=event.at)
        return codec.Received(record.topic, 0, seq, record.key, record.value, record.headers)
