"""The recorder's edge to Kafka."""

from collections.abc import Sequence

from history.recording.recorder import Recorder
from shared.codec import Message
from shared.kafka import Handler
from shared.topics import DELIVERIES, ESTIMATES, IDENTITIES, JOBS, PROGRESS, RUNS, TRIGGERS

LOG_TOPICS = (TRIGGERS, RUNS, PROGRESS, ESTIMATES, DELIVERIES)
TOPICS = (*LOG_TOPICS, IDENTITIES, JOBS)


def create_handler(recorder: Recorder) -> Handler:
    """Return the handler that records the messages of all these topics."""

    async def handle(messages: Sequence[Message]) -> None:
        await recorder.record([message.event for message in messages])

    return handle
