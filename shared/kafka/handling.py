"""The retry and dead-letter policy: only what is wrong in a message itself is a dead letter, all else is tried again.

A message becomes a dead letter when it cannot be decoded, when a domain rule rejects it (MessageRejected), or when
PostgreSQL rejects a value of it (`shared.postgres_errors`). Whatever else happens, the message waits with its offset
unmoved, and so do those behind it in its partition; those before it and other partitions go on.

Delivery is at least once, so a handler must be idempotent.
"""

import asyncio
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from shared.clock import Clock, SystemClock
from shared.codec import Message, Received, decode
from shared.errors import (
    ConsumerPaused,
    InvalidMessage,
    MessageRejected,
    SluiceError,
    TransientError,
    UnknownVersion,
)
from shared.kafka.dead_letters import DeadLetterLimit, find_origin, to_dead_letter
from shared.kafka.notes import HandlingNotes
from shared.kafka.producer import Producer
from shared.lifecycle import wait_for_first
from shared.observe import CONSUMED, CONSUMER_RETRIES, DEAD_LETTERS, get_logger
from shared.postgres_errors import is_content_error
from shared.topics import list_topics

Handler = Callable[[Sequence[Message]], Awaitable[None]]
"""Applies messages, those of one partition in order, in one transaction; it may get the same messages again."""
Place = tuple[str, int]
"""A topic and a partition."""
Reason = Literal["unavailable", "unreadable", "unexpected"]
REASONS: tuple[Reason, ...] = ("unavailable", "unreadable", "unexpected")
log = get_logger(__name__)

_FIRST_SECONDS, _LONGEST_SECONDS = 0.2, 10.0
# So often a whole batch is tried again before its messages are tried one by one: one of them may be the cause.
_BATCH_ATTEMPTS = 3
_LONGEST_TRACE, _REMEMBERED = 8, 1000


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


@dataclass(frozen=True, slots=True)
class Waiting:
    """The first message of a partition that cannot be handled yet, and why."""

    offset: int
    error: Exception

    @property
    def reason(self) -> Reason:
        """The kind of the cause: a dependency, the messages, or an unexpected error."""
        if isinstance(self.error, TransientError):
            return "unavailable"
        return "unreadable" if isinstance(self.error, UnknownVersion | ConsumerPaused) else "unexpected"

    def describe(self, place: Place) -> str:
        """Return where the message is and why it waits, in words."""
        return f"{place[0]}[{place[1]}] waits at offset {self.offset}: {describe_error(self.error)}"


@dataclass(slots=True)
class BatchOutcome:
    """What has become of a batch: of each partition, the message that waits; all before it are done."""

    waiting: dict[Place, Waiting] = field(default_factory=dict)

    def wait(self, record: Received, error: Exception) -> None:
        """Let a message wait, unless an earlier one of its partition does."""
        if not self.is_behind(record):
            self.waiting[_place(record)] = Waiting(record.offset, error)

    def is_behind(self, record: Received) -> bool:
        """Return whether the message or an earlier one of its partition waits."""
        known = self.waiting.get(_place(record))
        return known is not None and known.offset <= record.offset


@dataclass(frozen=True, slots=True)
class _Item:
    """A record and the message in it; they differ in topic and offset for a letter that is replayed."""

    record: Received
    message: Message


class DeadLetterWriter:
    """Writes messages to their topic's dead-letter topic, up to a limit."""

    def __init__(
        self,
        producer: Producer,
        *,
        group: str,
        notes: HandlingNotes,
        limit: DeadLetterLimit | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.group = group
        self._producer = producer
        self._notes = notes
        self._limit = limit or DeadLetterLimit()
        self._clock = clock or SystemClock()
        # A batch that is tried again holds what was rejected the time before.
        self._written: deque[tuple[str, int, int]] = deque(maxlen=_REMEMBERED)
        for topic in list_topics(group):
            # The first letter and the first message are changes then, not new series.
            DEAD_LETTERS.labels(group, topic.name)
            CONSUMED.labels(group, topic.name)

    async def write(self, record: Received, origin: Received, reason: str) -> None:
        """Publish a message with its origin and the reason, once. Raises ConsumerPaused or KafkaUnavailable."""
        where = (record.topic, record.partition, record.offset)
        if where in self._written:
            return
        if (pause := await self._notes.find_pause()) is not None:
            raise ConsumerPaused(pause)
        if self._limit.count(self._clock.now()):
            reason = f"too many messages rejected, the latest because: {reason}"
            await self._notes.note_pause(record, reason)
            raise ConsumerPaused(reason)
        await self._publish(origin, reason)
        self._written.append(where)

    async def write_ordered(self, record: Received, origin: Received, error: Exception) -> bool:
        """Publish a message that an operator has set aside; return False without such an order.

        Raises KafkaUnavailable.
        """
        if (order := await self._notes.find_order(record)) is None:
            return False
        await self._publish(origin, f"set aside by an operator: {order} ({describe_error(error)})")
        return True

    async def _publish(self, origin: Received, reason: str) -> None:
        await self._producer.send([to_dead_letter(origin, group=self.group, reason=reason, at=self._clock.now())])
        DEAD_LETTERS.labels(self.group, origin.topic).inc()
        log.error(
            "dead letter written",
            group=self.group,
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
            reason=reason,
        )


class MessageHandler:
    """Decodes records and applies a handler to them. The caller commits what the outcome says is done, and no more."""

    def __init__(self, handle: Handler, dead_letters: DeadLetterWriter) -> None:
        self._handle = handle
        self._dead_letters = dead_letters
        self._failed_batches = 0
        self._retries = CONSUMER_RETRIES.labels(dead_letters.group)

    async def handle_batch(self, records: Sequence[Received]) -> BatchOutcome:
        """Handle records together; when that fails, one by one, to find those that cause it."""
        outcome = BatchOutcome()
        items = [item for each in records if (item := await self._decode(each, outcome)) is not None]
        try:
            if items:
                await self._handle([item.message for item in items])
        except Exception as error:
            await self._handle_separately(items, error, outcome)
        else:
            self._failed_batches = 0
        if outcome.waiting:
            self._retries.inc()
        return outcome

    async def handle_one(self, record: Received) -> Waiting | None:
        """Handle one record by itself; return None, or why it waits."""
        outcome = BatchOutcome()
        if (item := await self._decode(record, outcome)) is not None:
            await self._handle_alone(item, outcome)
        if outcome.waiting:
            self._retries.inc()
        return next(iter(outcome.waiting.values()), None)

    async def _decode(self, record: Received, outcome: BatchOutcome) -> _Item | None:
        if outcome.is_behind(record):
            return None
        origin = find_origin(record) if record.topic.endswith(".replay") else record
        if origin is None:
            log.error("not a replayed letter, ignored", topic=record.topic, offset=record.offset)
            return None
        try:
            return _Item(record, decode(origin))
        except UnknownVersion as error:
            await self._wait(record, origin, error, outcome)
        except InvalidMessage as error:
            await self._reject(record, origin, str(error), outcome)
        return None

    async def _handle_separately(self, items: Sequence[_Item], error: Exception, outcome: BatchOutcome) -> None:
        self._failed_batches += 1
        if isinstance(error, TransientError) and self._failed_batches < _BATCH_ATTEMPTS:
            _let_wait(items, error, outcome)
            return
        log.warning(
            "batch failed, handling its messages one by one",
            group=self._dead_letters.group,
            error=describe_error(error),
        )
        unavailable = 0
        for number, item in enumerate(items):
            if outcome.is_behind(item.record):
                continue
            await self._handle_alone(item, outcome)
            waiting = outcome.waiting.get(_place(item.record))
            unavailable += waiting is not None and isinstance(waiting.error, TransientError)
            if waiting is not None and unavailable > 1:
                # Not this message's fault but that of something they all need: trying each would take very long.
                _let_wait(items[number:], waiting.error, outcome)
                return

    async def _handle_alone(self, item: _Item, outcome: BatchOutcome) -> None:
        origin = item.message.origin
        try:
            await self._handle([item.message])
        except Exception as error:
            if isinstance(error, MessageRejected) or is_content_error(error):
                await self._reject(item.record, origin, describe_error(error), outcome)
            else:
                await self._wait(item.record, origin, error, outcome)

    async def _reject(self, record: Received, origin: Received, reason: str, outcome: BatchOutcome) -> None:
        try:
            await self._dead_letters.write(record, origin, reason)
        except SluiceError as error:
            await self._wait(record, origin, error, outcome)

    async def _wait(self, record: Received, origin: Received, error: Exception, outcome: BatchOutcome) -> None:
        try:
            if await self._dead_letters.write_ordered(record, origin, error):
                return
        except TransientError as unavailable:
            log.warning("cannot read what operators have set aside", error=describe_error(unavailable))
        outcome.wait(record, error)
        if outcome.waiting[_place(record)].reason == "unexpected":
            log.error("message cannot be handled", error=describe_error(error), at=_trace(error))


def _let_wait(items: Iterable[_Item], error: Exception, outcome: BatchOutcome) -> None:
    for item in items:
        outcome.wait(item.record, error)


def _place(record: Received) -> Place:
    return record.topic, record.partition


def _trace(error: Exception) -> list[str]:
    """Return where an error was raised, without its text, which may quote the message's content."""
    frames = traceback.extract_tb(error.__traceback__)[-_LONGEST_TRACE:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]


def describe_error(error: Exception) -> str:
    """Return an error's type, with its text only for errors of Sluice: other texts may quote the message's content."""
    return f"{type(error).__name__}: {error}" if isinstance(error, SluiceError) else type(error).__name__
