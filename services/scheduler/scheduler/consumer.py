"""The edge to Kafka: changes of jobs and requests to run one come in."""

from collections.abc import Sequence

from scheduler.changes import Intake
from shared.codec import Message
from shared.events import JobDeleted, JobSaved, RunNow
from shared.kafka import Handler


def intake(service: Intake) -> Handler:
    """Return the handler of `sluice.jobs` and `sluice.commands`."""

    async def handle(messages: Sequence[Message]) -> None:
        told = [message.event for message in messages]
        await service.change([event for event in told if isinstance(event, JobSaved | JobDeleted)])
        await service.request([event for event in told if isinstance(event, RunNow)])

    return handle
