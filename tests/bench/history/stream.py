"""The events of a busy day: hundreds of runs in parallel, most events being progress and estimates."""

from collections.abc import Iterator
from uuid import UUID, uuid4

from shared import codec
from shared.clock import SystemClock
from shared.events import Event
from shared.kafka import Producer
from tests.unit.history.scenarios import RunScenario

_PARALLEL_RUNS = 250
_STEPS = 60  # a run of a minute, with progress and an estimate every second
EVENTS, FOLLOWED_EVENTS = 2 * _STEPS + 6, _STEPS + 6  # events of a run, and those that the estimates follow


def generate_events(count: int, tenant_id: UUID) -> Iterator[list[Event]]:
    """Yield at least `count` events, one group of parallel runs at a time."""
    sent = 0
    parallel = min(_PARALLEL_RUNS, count // EVENTS + 1)
    while sent < count:
        scenarios = [_play(RunScenario(tenant_id=tenant_id, job_id=uuid4())) for _ in range(parallel)]
        # Round robin, so that the topics mix the runs as if all were running.
        ordered = [event for step in zip(*map(_order, scenarios), strict=True) for event in step]
        sent += len(ordered)
        yield ordered


async def publish(kafka: str, count: int, tenant_id: UUID) -> int:
    """Publish at least `count` events; return how many."""
    sent = 0
    async with Producer.open(kafka, name="bench") as producer:
        for events in generate_events(count, tenant_id):
            now = SystemClock().now()
            await producer.send(codec.encode(event, source="bench", at=now) for event in events)
            sent += len(events)
    return sent


def _play(scenario: RunScenario) -> RunScenario:
    scenario.triggered().queued().started()
    for step in range(_STEPS):
        scenario.progressed(step).estimated(float(_STEPS - step))
    return scenario.part(1).part(2).succeeded()


def _order(scenario: RunScenario) -> list[Event]:
    middle = [event for pair in zip(scenario.progress, scenario.estimates, strict=True) for event in pair]
    return [*scenario.triggers, *scenario.runs[:2], *middle, *scenario.runs[2:]]
