"""The retry and dead-letter policy: what is retried, what is set aside, and when a consumer gives up."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

import pytest

from shared import codec, events
from shared.codec import Message, Received, Record
from shared.errors import MessageRejected, TooManyDeadLetters, TransientError
from shared.kafka import KafkaUnavailable, Producer
from shared.kafka.dead_letters import DeadLetterLimit
from shared.kafka.handling import Backoff, DeadLetterWriter, MessageHandler
from tests.contract.samples import AT, samples

FAILED = next(event for event in samples() if isinstance(event, events.RunFailed))
GROUP = "sluice.test"
PAUSES = [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


class MemoryProducer(Producer):
    """Keeps what is sent to it; fails as often as `outages` says."""

    def __init__(self) -> None:
        self.sent: list[Record] = []
        self.outages = 0

    async def send(self, records: Iterable[Record]) -> None:
        if self.outages:
            self.outages -= 1
            raise KafkaUnavailable("Kafka: no broker")
        self.sent += records

    def reasons(self) -> list[str]:
        """Return the reasons of all dead letters."""
        return [dict(each.headers)["dead_reason"].decode() for each in self.sent]


@dataclass
class Effect:
    """A handler that fails for some messages, by their sequence number, and keeps the others."""

    errors: dict[int, Exception] = field(default_factory=dict)
    outages: int = 0
    calls: list[list[int]] = field(default_factory=list)
    applied: list[int] = field(default_factory=list)

    async def __call__(self, messages: Sequence[Message]) -> None:
        numbers = [each.event.seq for each in messages if isinstance(each.event, events.RunFailed)]
        self.calls.append(numbers)
        if self.outages:
            self.outages -= 1
            raise TransientError("the database is unavailable")
        for number in numbers:
            if number in self.errors:
                raise self.errors[number]
        self.applied += numbers


def make_record(number: int) -> Received:
    record = codec.encode(replace(FAILED, job_id=uuid4(), seq=number), source="test", at=AT)
    return Received(record.topic, 0, number, record.key, record.value, record.headers)


def make_unreadable(number: int) -> Received:
    return Received("sluice.runs", 0, number, b"key", b"{}", (("ce_type", b"sluice.run.dreamt.v1"),))


@pytest.fixture
def producer() -> MemoryProducer:
    return MemoryProducer()


def make_handler(effect: Effect, producer: Producer, *, most: int = 100) -> MessageHandler:
    return MessageHandler(effect, DeadLetterWriter(producer, group=GROUP, limit=DeadLetterLimit(maximum=most)))


async def test_a_batch_is_handled_together(producer: MemoryProducer) -> None:
    effect = Effect()
    await make_handler(effect, producer).handle_batch([make_record(number) for number in range(3)])
    assert (effect.calls, producer.sent) == ([[0, 1, 2]], [])


async def test_only_what_fails_for_good_becomes_a_dead_letter(producer: MemoryProducer) -> None:
    effect = Effect(errors={1: MessageRejected("no such job"), 3: ValueError("with private content")})
    records = [make_record(0), make_record(1), make_unreadable(2), make_record(3), make_record(4)]
    await make_handler(effect, producer).handle_batch(records)
    assert effect.applied == [0, 4]
    assert effect.calls == [[0, 1, 3, 4], [0], [1], [3], [4]]
    assert producer.reasons() == [
        "unknown event type 'sluice.run.dreamt.v1'",
        "MessageRejected: no such job",
        "ValueError",
    ]
    assert [dict(each.headers)["dead_offset"] for each in producer.sent] == [b"2", b"1", b"3"]
    assert {dict(each.headers)["dead_group"] for each in producer.sent} == {GROUP.encode()}


async def test_a_transient_error_leaves_the_batch_to_a_retry(producer: MemoryProducer) -> None:
    effect = Effect(outages=1)
    handling, records = make_handler(effect, producer), [make_record(0), make_record(1)]
    with pytest.raises(TransientError):
        await handling.handle_batch(records)
    assert (effect.calls, producer.sent) == ([[0, 1]], [])
    await handling.handle_batch(records)
    assert effect.applied == [0, 1]


async def test_a_dead_letter_that_kafka_does_not_accept_is_retried(producer: MemoryProducer) -> None:
    effect = Effect(errors={0: MessageRejected("no such job")})
    producer.outages = 1
    handling = make_handler(effect, producer)
    with pytest.raises(KafkaUnavailable):
        await handling.handle_one(make_record(0))
    await handling.handle_one(make_record(0))
    assert producer.reasons() == ["MessageRejected: no such job"]


async def test_one_record_is_handled_once_by_itself(producer: MemoryProducer) -> None:
    effect = Effect(errors={1: ValueError()})
    handling = make_handler(effect, producer)
    for record in (make_record(0), make_record(1), make_unreadable(2)):
        await handling.handle_one(record)
    assert effect.calls == [[0], [1]]
    assert producer.reasons() == ["ValueError", "unknown event type 'sluice.run.dreamt.v1'"]


async def test_too_many_dead_letters_end_the_handling(producer: MemoryProducer) -> None:
    handling = make_handler(Effect(), producer, most=2)
    with pytest.raises(TooManyDeadLetters, match="too many messages rejected, the latest because: unknown event type"):
        await handling.handle_batch([make_unreadable(number) for number in range(5)])
    assert len(producer.sent) == 2


async def test_pauses_double_up_to_ten_seconds_and_begin_again_after_a_success() -> None:
    backoff = Backoff(GROUP)
    assert [backoff.next_seconds() for _ in PAUSES] == PAUSES
    backoff.failures = 10_000
    assert backoff.next_seconds() == PAUSES[-1]
    backoff.reset()
    assert backoff.next_seconds() == PAUSES[0]


async def test_a_pause_ends_when_the_process_stops() -> None:
    backoff, stopping = Backoff(GROUP), asyncio.Event()
    backoff.failures = 100
    stopping.set()
    async with asyncio.timeout(timedelta(seconds=5).total_seconds()):
        await backoff.wait("retrying record", TransientError("the database is unavailable"), stopping)
