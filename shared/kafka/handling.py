"""The retry and dead-letter policy: transient errors are retried in place, all others set their message aside.

Delivery is at least once, so a handler must be idempotent. The caller commits a message's offset only after
`MessageHandler` has returned, and calls again with the same messages after a TransientError.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from shared.clock import Clock, SystemClock
from shared.codec import Message, Received, decode
from shared.errors import InvalidMessage, SluiceError, TooManyDeadLetters, TransientError
from shared.kafka.dead_letters import DeadLetterLimit, to_dead_letter
from shared.kafka.producer import Producer
from shared.lifecycle import wait_for_first
from shared.observe import CONSUMER_RETRIES, DEAD_LETTERS, get_logger

Handler = Callable[[Sequence[Message]], Awaitable[None]]
"""Applies messages, those of one partition in order, in one transaction; it may get the same messages again."""
log = get_logger(__name__)

_FIRST_SECONDS, _LONGEST_SECONDS = 0.2, 10.0


class Backoff:
    """The pauses between retries: 0.2 s, then twice as long each time, 10 s at most."""

    def __init__(self, group: str) -> None:
        self._group = group
        self.failures = 0

    def reset(self) -> None:
        """Begin with the shortest pause again, after a success."""
        self.failures = 0

    def next_seconds(self) -> float:
        """Count a failure and return the pause after it, in seconds."""
        # The exponent is bounded too: during a long outage its power would outgrow a float.
        seconds = _FIRST_SECONDS * 2.0 ** min(self.failures, 10)
        self.failures += 1
        return min(_LONGEST_SECONDS, seconds)

    async def wait(self, event: str, error: Exception, stopping: asyncio.Event) -> None:
        """Log what failed as `event` with its error, then pause, or return at once when `stopping` is set."""
        seconds = self.next_seconds()
        log.warning(event, group=self._group, error=describe_error(error), retry_in_seconds=seconds)
        await wait_for_first(stopping, seconds=seconds)


class DeadLetterWriter:
    """Writes messages that cannot be handled to their topic's dead-letter topic, up to a limit."""

    def __init__(
        self, producer: Producer, *, group: str, limit: DeadLetterLimit | None = None, clock: Clock | None = None
    ) -> None:
        self.group = group
        self._producer = producer
        self._limit = limit or DeadLetterLimit()
        self._clock = clock or SystemClock()

    async def write(self, record: Received, reason: str) -> None:
        """Publish a message with its origin and the reason. Raises TooManyDeadLetters or KafkaUnavailable."""
        now = self._clock.now()
        if self._limit.count(now):
            raise TooManyDeadLetters(f"{self.group}: too many messages rejected, the latest because: {reason}")
        await self._producer.send([to_dead_letter(record, group=self.group, reason=reason, at=now)])
        DEAD_LETTERS.labels(self.group, record.topic).inc()
        log.error(
            "dead letter written",
            group=self.group,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            reason=reason,
        )


class MessageHandler:
    """Decodes records and applies a handler to them; whatever fails for good becomes a dead letter.

    Its methods raise TransientError, after which the same records must be handled again, and TooManyDeadLetters, after
    which the process must end without committing their offsets.
    """

    def __init__(self, handle: Handler, dead_letters: DeadLetterWriter) -> None:
        self._handle = handle
        self._dead_letters = dead_letters
        self._retries = CONSUMER_RETRIES.labels(dead_letters.group)

    async def handle_batch(self, records: Sequence[Received]) -> None:
        """Handle records together; when that fails for good, one by one, to find those that cause it."""
        try:
            messages = [message for each in records if (message := await self._decode(each)) is not None]
            if messages:
                await self._handle_together(messages)
        except TransientError:
            self._retries.inc()
            raise

    async def handle_one(self, record: Received) -> None:
        """Handle one record by itself."""
        try:
            if (message := await self._decode(record)) is not None:
                await self._handle_alone(message)
        except TransientError:
            self._retries.inc()
            raise

    async def _decode(self, record: Received) -> Message | None:
        try:
            return decode(record)
        except InvalidMessage as error:
            await self._dead_letters.write(record, str(error))
            return None

    async def _handle_together(self, messages: Sequence[Message]) -> None:
        try:
            await self._handle(messages)
        except TransientError:
            raise
        except Exception as error:
            # One of the messages is the cause, or the handler is: handled alone, each shows which.
            log.warning(
                "batch failed, handling its messages one by one",
                group=self._dead_letters.group,
                error=describe_error(error),
            )
            for message in messages:
                await self._handle_alone(message)

    async def _handle_alone(self, message: Message) -> None:
        try:
            await self._handle([message])
        except TransientError:
            raise
        except Exception as error:
            log.exception("message rejected", group=self._dead_letters.group, topic=message.origin.topic)
            await self._dead_letters.write(message.origin, describe_error(error))


def describe_error(error: Exception) -> str:
    """Return an error's type, with its text only for errors of Sluice: other texts may quote the message's content."""
    return f"{type(error).__name__}: {error}" if isinstance(error, SluiceError) else type(error).__name__
