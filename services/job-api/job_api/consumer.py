"""The Kafka consumer: triggers, run events, estimates and tests of destinations go to the read model, audit entries to
the audit trail.
"""

from collections.abc import Sequence

from job_api.service import AuditService, DestinationService, RunEventHandler
from shared.codec import Message
from shared.events import AuditRecorded, DestinationTested, RunEstimated, RunEvent, SlotSkipped, SlotTriggered
from shared.kafka import Handler
from shared.topics import AUDIT, DESTINATION_TESTS, ESTIMATES, RUNS, TRIGGERS

TOPICS = (TRIGGERS, RUNS, ESTIMATES, AUDIT, DESTINATION_TESTS)


def create_handler(run_events: RunEventHandler, audit: AuditService, destinations: DestinationService) -> Handler:
    """Return the handler of `TOPICS`."""

    async def handle(messages: Sequence[Message]) -> None:
        events = [message.event for message in messages]
        applied = SlotTriggered | SlotSkipped | RunEvent | RunEstimated
        await run_events.apply([event for event in events if isinstance(event, applied)])
        if entries := [event for event in events if isinstance(event, AuditRecorded)]:
            await audit.record(entries)
        if tests := [event for event in events if isinstance(event, DestinationTested)]:
            await destinations.apply_tests(tests)

    return handle
