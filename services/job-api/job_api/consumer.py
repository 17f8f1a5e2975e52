"""The Kafka consumer: hands triggers, run events and estimates to the read model."""

from collections.abc import Sequence

from job_api.service import RunEventHandler
from shared.codec import Message
from shared.events import RunEstimated, RunEvent, SlotSkipped, SlotTriggered
from shared.kafka import Handler


def create_handler(run_events: RunEventHandler) -> Handler:
    """Return the handler of `sluice.triggers`, `sluice.runs` and `sluice.estimates`."""

    async def handle(messages: Sequence[Message]) -> None:
        applied = SlotTriggered | SlotSkipped | RunEvent | RunEstimated
        await run_events.apply([message.event for message in messages if isinstance(message.event, applied)])

    return handle
