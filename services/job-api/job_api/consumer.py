"""The edge to Kafka: what happens to runs comes in."""

from collections.abc import Sequence

from job_api.service import Runs
from shared.codec import Message
from shared.events import RunEstimated, RunEvent, SlotSkipped, SlotTriggered
from shared.kafka import Handler


def run_changes(runs: Runs) -> Handler:
    """Return the handler of `sluice.triggers`, `sluice.runs` and `sluice.estimates`."""

    async def handle(messages: Sequence[Message]) -> None:
        shown = SlotTriggered | SlotSkipped | RunEvent | RunEstimated
        await runs.take([message.event for message in messages if isinstance(message.event, shown)])

    return handle
