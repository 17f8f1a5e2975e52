"""The edge to Kafka: triggers, commands, deletions and certificates come in."""

from collections.abc import Sequence

from exporter.runs.admission import Admissions
from shared.codec import Message
from shared.kafka import Handler


def admissions(service: Admissions) -> Handler:
    """Return the handler of all topics that exporters follow."""

    async def handle(messages: Sequence[Message]) -> None:
        await service.take([message.event for message in messages])

    return handle
