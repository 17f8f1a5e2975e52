"""How many running exports one core estimates: an event read, an estimate made and told, a memory stored for each."""

import json
import time
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import cast
from uuid import UUID, uuid4

from history.estimating.estimates import Estimates
from history.estimating.estimator import EarlierRun
from history.store.estimates import EstimateStore, Known, Memory
from shared import codec, events
from shared.kafka import Producer
from tests.bench.eta.traces import Event, Trace

_ROUNDS = 3
_TENANT = uuid4()


class _Store:
    """Knows the earlier runs; what is to be stored is written as text, and goes no further."""

    def __init__(self, earlier: dict[UUID, list[EarlierRun]]) -> None:
        self._earlier = earlier

    async def known(self, runs: Sequence[tuple[UUID, UUID]]) -> dict[UUID, Known]:
        """Return that each run has just begun."""
        return {run: Known(state=None, memory=None, earlier=self._earlier[run], waits=[]) for run, _ in runs}

    async def save(self, memories: Sequence[Memory], _: datetime) -> None:
        """Write memories as text."""
        for memory in memories:
            json.dumps(memory.state)

    async def ended(self, _: Collection[UUID]) -> set[UUID]:
        """Return that no run has ended."""
        return set()


class _Kafka:
    """Takes records and counts them."""

    def __init__(self) -> None:
        self.sent = 0

    async def send(self, records: Iterable[codec.Record]) -> None:
        """Take records."""
        self.sent += len(list(records))


async def estimates_per_second(traces: Sequence[Trace], runs: int = 2000) -> float:
    """Return how many runs one core re-estimates in a second of its time, Kafka's and PostgreSQL's own work aside."""
    long = [trace for trace in traces if len(trace.events) >= 4 * _ROUNDS]
    followed = [_Followed(long[number % len(long)]) for number in range(runs)]
    store, kafka = _Store({each.run_id: each.earlier for each in followed}), _Kafka()
    estimates = Estimates(cast("EstimateStore", store), cast("Producer", kafka))
    for each in followed:
        for record in each.records[:-_ROUNDS]:
            await estimates.take(codec.decode(record).event, 0)
    await estimates.send()
    before, began = kafka.sent, time.process_time()
    for place in range(-_ROUNDS, 0):
        for each in followed:
            await estimates.take(codec.decode(each.records[place]).event, 0)
        await estimates.send()
        await estimates.store()
    return (kafka.sent - before) / (time.process_time() - began)


class _Followed:
    """A run in the middle of a trace, as records of its progress."""

    def __init__(self, trace: Trace) -> None:
        self.run_id, self._job_id = uuid4(), uuid4()
        self.earlier = [EarlierRun.of(each) for each in trace.earlier]
        began = datetime.now(UTC) - timedelta(seconds=trace.duration / 2)
        shift = began.timestamp() - trace.started_at
        told = list(islice(trace.events, 1, len(trace.events) // 2 + 1))
        self.records = [self._record(seq, each, shift) for seq, each in enumerate(told)]

    def _record(self, seq: int, told: Event, shift: float) -> codec.Received:
        event = events.RunProgressed(
            job_id=self._job_id,
            tenant_id=_TENANT,
            run_id=self.run_id,
            token=1,
            seq=seq,
            at=datetime.fromtimestamp(told.ts + shift, UTC),
            phase="export",
            units_done=told.units_done,
            units_total=told.units_total,
            total_exact=True,
            bytes_done=told.bytes,
            slices=tuple(told.slices) if told.slices else None,
        )
        record = codec.encode(event, source="bench", at=event.at)
        return codec.Received(record.topic, 0, seq, record.key, record.value, record.headers)
