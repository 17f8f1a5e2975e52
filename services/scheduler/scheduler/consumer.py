"""The Kafka edge: changes of jobs, and requests to run one."""

from collections.abc import Sequence

from scheduler.changes import ChangeService, JobChange
from shared.codec import Message
from shared.events import RunNow
from shared.kafka import Handler


def create_handler(service: ChangeService) -> Handler:
    """Return the handler of `sluice.jobs` and `sluice.commands`."""

    async def handle(messages: Sequence[Message]) -> None:
        events = [message.event for message in messages]
        await service.apply_changes([event for event in events if isinstance(event, JobChange)])
        await service.apply_requests([event for event in events if isinstance(event, RunNow)])

    return handle
