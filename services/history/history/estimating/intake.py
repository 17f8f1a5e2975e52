"""The link between the agent and the estimates: applies the shared retry and dead-letter policy record by record."""

import asyncio
from collections.abc import Sequence

from history.estimating.estimates import EstimateService
from shared.codec import Message, Received
from shared.errors import TooManyDeadLetters, TransientError
from shared.kafka import Producer
from shared.kafka.handling import Backoff, DeadLetterWriter, MessageHandler
from shared.lifecycle import wait_for_first
from shared.observe import CONSUMED
from shared.topics import TOPICS


class EstimateIntake:
    """Handles records one by one and never raises into the agent; too many dead letters end the process instead."""

    def __init__(self, service: EstimateService, producer: Producer, *, group: str, stopping: asyncio.Event) -> None:
        self._service = service
        self._handler = MessageHandler(self._apply, DeadLetterWriter(producer, group=group))
        self._backoff = Backoff(group)
        self._stopping = stopping
        self._failure: TooManyDeadLetters | None = None
        self._failed = asyncio.Event()
        self._consumed = {topic.name: CONSUMED.labels(group, topic.name) for topic in TOPICS}

    async def handle(self, record: Received) -> None:
        """Handle a record or write it to the dead letters; retry while the error is transient."""
        while not self._stopping.is_set():
            try:
                await self._handler.handle_one(record)
            except TransientError as error:
                await self._backoff.wait("retrying record", error, self._stopping)
            except TooManyDeadLetters as error:
                self._failure = error
                self._failed.set()
                break
            else:
                self._backoff.reset()
                self._consumed[record.topic].inc()
                return
        # The record is not handled and must not be acknowledged, so the agent waits here until the process ends.
        await asyncio.Event().wait()

    async def run(self, stopping: asyncio.Event) -> None:
        """Wait until `stopping` is set. Raises TooManyDeadLetters."""
        await wait_for_first(self._failed, stopping)
        if self._failure is not None:
            raise self._failure

    async def _apply(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self._service.apply(message.event, message.origin.partition)
