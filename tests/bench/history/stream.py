"""A busy day's events: hundreds of runs at a time, most of what is told of them progress and estimates."""

from collections.abc import Iterator
from uuid import UUID, uuid4

from shared import codec
from shared.clock import SystemClock
from shared.events import Event
from shared.kafka import Producer
from tests.unit.history.scenarios import RunScenario

AT_ONCE = 250
_STEPS = 60  # a run of a minute, told of once a second
TOLD, FOLLOWED = 2 * _STEPS + 6, _STEPS + 6  # events of a run, and those that the estimates follow


def told(count: int, tenant_id: UUID) -> Iterator[list[Event]]:
    """Yield at least `count` events, a group of runs going on side by side at a time."""
    sent = 0
    while sent < count:
        stories = [_whole(RunScenario(tenant_id=tenant_id, job_id=uuid4())) for _ in range(AT_ONCE)]
        # Round robin: what the topics hold is mixed, as when all these runs are running.
        ordered = [event for step in zip(*map(_in_order, stories), strict=True) for event in step]
        sent += len(ordered)
        yield ordered


async def publish(kafka: str, count: int, tenant_id: UUID) -> int:
    """Put events on their topics; return how many."""
    sent = 0
    async with Producer.open(kafka, name="bench") as producer:
        for events in told(count, tenant_id):
            now = SystemClock().now()
            await producer.send(codec.encode(event, source="bench", at=now) for event in events)
            sent += len(events)
    return sent


def _whole(story: RunScenario) -> RunScenario:
    story.triggered().queued().started()
    for step in range(_STEPS):
        story.progressed(step).estimated(float(_STEPS - step))
    return story.part(1).part(2).succeeded()


def _in_order(story: RunScenario) -> list[Event]:
    middle = [event for pair in zip(story.progress, story.estimates, strict=True) for event in pair]
    return [*story.triggers, *story.runs[:2], *middle, *story.runs[2:]]
