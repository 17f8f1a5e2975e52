"""The exporter's Kafka handler: triggers, commands, deletions and certificates are admitted."""

from collections.abc import Sequence

from exporter.runs.admission import AdmissionService
from shared.codec import Message
from shared.kafka import Handler


def create_handler(service: AdmissionService) -> Handler:
    """Return the handler of all topics that exporters follow."""

    async def handle(messages: Sequence[Message]) -> None:
        await service.admit([message.event for message in messages])

    return handle
