"""The link between the agent and the estimates: applies the shared retry and dead-letter policy record by record."""

import asyncio
from collections.abc import Sequence

from history.estimating.estimates import EstimateService
from shared.codec import Message, Received
from shared.kafka.handling import REASONS, Backoff, DeadLetterWriter, MessageHandler
from shared.lifecycle import wait_for_first
from shared.observe import CONSUMED, CONSUMER_WAITING, get_logger

log = get_logger(__name__)


class EstimateIntake:
    """Handles records one by one and never raises into the agent: a record that cannot be handled is tried again."""

    def __init__(self, service: EstimateService, dead_letters: DeadLetterWriter, *, stopping: asyncio.Event) -> None:
        self._service = service
        self._group = dead_letters.group
        self._handler = MessageHandler(self._apply, dead_letters)
        self._stopping = stopping
        self._fault: str | None = None

    def find_fault(self) -> str | None:
        """Return where the record is that cannot be handled, and why, or None."""
        return self._fault

    async def handle(self, record: Received) -> bool:
        """Handle a record or write it to the dead letters; while neither is possible, try again.

        Return False when the process stops before the record is handled: it must not be acknowledged then.
        """
        backoff = Backoff(self._group)
        while not self._stopping.is_set():
            waiting = await self._handler.handle_one(record)
            for reason in REASONS:
                is_waiting = waiting is not None and waiting.reason == reason
                CONSUMER_WAITING.labels(self._group, reason).set(is_waiting)
            if waiting is None:
                self._fault = None
                CONSUMED.labels(self._group, record.topic).inc()
                return True
            self._fault = f"{self._group}: {waiting.describe((record.topic, record.partition))}"
            seconds = backoff.next_seconds()
            log.warning("message waits", group=self._group, why=self._fault, retry_in_seconds=seconds)
            await wait_for_first(self._stopping, seconds=seconds)
        return False

    async def _apply(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self._service.apply(message.event, message.origin.partition)
