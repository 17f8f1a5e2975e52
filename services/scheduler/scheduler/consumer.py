"""The edge to Kafka: changes of jobs come in."""

from collections.abc import Sequence

from scheduler.service import Scheduler
from shared.codec import Message
from shared.events import JobDeleted, JobSaved
from shared.kafka import Handler


def job_changes(scheduler: Scheduler) -> Handler:
    """Return the handler of `sluice.jobs`."""

    async def handle(messages: Sequence[Message]) -> None:
        await scheduler.change(
            [message.event for message in messages if isinstance(message.event, JobSaved | JobDeleted)]
        )

    return handle
