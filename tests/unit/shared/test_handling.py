"""The retry and dead-letter policy: what is retried, what is set aside, and when a consumer waits."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from shared import codec, events
from shared.codec import Message, Received, Record
from shared.errors import MessageRejected, TransientError
from shared.kafka import KafkaUnavailable, Producer
from shared.kafka.dead_letters import DeadLetterLimit, read_dead_letter, to_dead_letter, to_replay_record
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


def make_record(number: int, *, partition: int = 0) -> Received:
    record = codec.encode(replace(FAILED, job_id=uuid4(), seq=number), source="test", at=AT)
    return Received(record.topic, partition, number, record.key, record.value, record.headers)


def store_record(record: Record) -> Received:
    return Received(record.topic, 0, 0, record.key, record.value, record.headers)


def make_unreadable(number: int, *, ce_type: bytes = b"sluice.run.dreamt.v1") -> Received:
    return Received("sluice.runs", 0, number, b"key", b"{}", (("ce_type", ce_type),))


@dataclass
class MemoryNotes:
    """Orders of operators by offset, and at most one pause."""

    orders: dict[int, str] = field(default_factory=dict)
    pause: str | None = None
    noted: list[int] = field(default_factory=list)

    async def find_order(self, record: Received) -> str | None:
        return self.orders.get(record.offset)

    async def find_pause(self) -> str | None:
        return self.pause

    async def note_pause(self, record: Received, reason: str) -> None:
        self.noted.append(record.offset)
        self.pause = reason


@pytest.fixture
def producer() -> MemoryProducer:
    return MemoryProducer()


@pytest.fixture
def notes() -> MemoryNotes:
    return MemoryNotes()


def make_handler(effect: Effect, producer: Producer, notes: MemoryNotes, *, most: int = 100) -> MessageHandler:
    writer = DeadLetterWriter(producer, group=GROUP, notes=notes, limit=DeadLetterLimit(maximum=most))
    return MessageHandler(effect, writer)


async def test_a_batch_is_handled_together(producer: MemoryProducer, notes: MemoryNotes) -> None:
    effect = Effect()
    outcome = await make_handler(effect, producer, notes).handle_batch([make_record(number) for number in range(3)])
    assert (effect.calls, producer.sent, outcome.waiting) == ([[0, 1, 2]], [], {})


async def test_only_what_is_wrong_in_a_message_becomes_a_dead_letter(
    producer: MemoryProducer, notes: MemoryNotes
) -> None:
    effect = Effect(errors={1: MessageRejected("no such job"), 3: asyncpg.NumericValueOutOfRangeError("private")})
    records = [make_record(0), make_record(1), make_unreadable(2), make_record(3), make_record(4)]
    outcome = await make_handler(effect, producer, notes).handle_batch(records)
    assert outcome.waiting == {}
    assert effect.applied == [0, 4]
    assert effect.calls == [[0, 1, 3, 4], [0], [1], [3], [4]]
    assert producer.reasons() == [
        "unknown event type 'sluice.run.dreamt.v1'",
        "MessageRejected: no such job",
        "NumericValueOutOfRangeError",
    ]
    assert [dict(each.headers)["dead_offset"] for each in producer.sent] == [b"2", b"1", b"3"]
    assert {dict(each.headers)["dead_group"] for each in producer.sent} == {GROUP.encode()}


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a fault of the handler"),
        PermissionError("denied"),
        asyncpg.UndefinedColumnError("no such column"),
        asyncpg.UniqueViolationError("twice"),
        MemoryError(),
    ],
)
async def test_what_nobody_foresaw_waits_and_only_what_is_behind_it_in_its_partition(
    error: Exception, producer: MemoryProducer, notes: MemoryNotes
) -> None:
    effect = Effect(errors={2: error})
    records = [
        *(make_record(number) for number in range(5)),
        *(make_record(number, partition=1) for number in range(5, 8)),
    ]
    handling = make_handler(effect, producer, notes)
    outcome = await handling.handle_batch(records)
    assert effect.applied == [0, 1, 5, 6, 7]
    assert producer.sent == []
    (where, waiting), *others = outcome.waiting.items()
    assert (where, waiting.offset, waiting.reason, others) == (("sluice.runs", 0), 2, "unexpected", [])
    assert waiting.describe(where) == f"sluice.runs[0] waits at offset 2: {type(error).__name__}"
    effect.errors.clear()
    assert (await handling.handle_batch(records[2:5])).waiting == {}
    assert effect.applied == [0, 1, 5, 6, 7, 2, 3, 4]


async def test_a_transient_error_leaves_the_batch_to_a_retry(producer: MemoryProducer, notes: MemoryNotes) -> None:
    effect = Effect(outages=1)
    handling, records = make_handler(effect, producer, notes), [make_record(0), make_record(1)]
    outcome = await handling.handle_batch(records)
    assert [(each.offset, each.reason) for each in outcome.waiting.values()] == [(0, "unavailable")]
    assert (effect.calls, producer.sent) == ([[0, 1]], [])
    await handling.handle_batch(records)
    assert effect.applied == [0, 1]


async def test_an_outage_that_only_one_message_meets_does_not_hold_up_those_before_it(
    producer: MemoryProducer, notes: MemoryNotes
) -> None:
    effect = Effect(errors={1: TransientError("a disk is full")})
    handling, records = make_handler(effect, producer, notes), [make_record(number) for number in range(3)]
    for _ in range(2):
        assert (await handling.handle_batch(records)).waiting["sluice.runs", 0].offset == 0
    assert (await handling.handle_batch(records)).waiting["sluice.runs", 0].offset == 1
    assert (effect.applied, producer.sent) == ([0], [])


async def test_when_everything_is_unavailable_not_each_message_is_tried(
    producer: MemoryProducer, notes: MemoryNotes
) -> None:
    effect = Effect(outages=1000)
    handling, records = make_handler(effect, producer, notes), [make_record(each, partition=each) for each in range(9)]
    for _ in range(3):
        outcome = await handling.handle_batch(records)
    assert len(effect.calls) == 5
    assert len(outcome.waiting) == 9


async def test_a_dead_letter_that_kafka_does_not_accept_is_retried_and_written_once(
    producer: MemoryProducer, notes: MemoryNotes
) -> None:
    effect = Effect(errors={0: MessageRejected("no such job")})
    producer.outages = 1
    handling = make_handler(effect, producer, notes)
    waiting = await handling.handle_one(make_record(0))
    assert waiting is not None
    assert waiting.reason == "unavailable"
    for _ in range(3):
        assert await handling.handle_one(make_record(0)) is None
    assert producer.reasons() == ["MessageRejected: no such job"]


async def test_one_record_is_handled_once_by_itself(producer: MemoryProducer, notes: MemoryNotes) -> None:
    effect = Effect(errors={1: ValueError()})
    handling = make_handler(effect, producer, notes)
    waiting = [await handling.handle_one(record) for record in (make_record(0), make_record(1), make_unreadable(2))]
    assert effect.calls == [[0], [1]]
    assert [each and each.offset for each in waiting] == [None, 1, None]
    assert producer.reasons() == ["unknown event type 'sluice.run.dreamt.v1'"]


async def test_a_later_version_waits_for_the_upgrade(producer: MemoryProducer, notes: MemoryNotes) -> None:
    effect = Effect()
    records = [make_record(0), make_unreadable(1, ce_type=b"sluice.run.failed.v2"), make_record(2)]
    outcome = await make_handler(effect, producer, notes).handle_batch(records)
    waiting = outcome.waiting["sluice.runs", 0]
    assert (waiting.offset, waiting.reason) == (1, "unreadable")
    assert "is newer than this release" in waiting.describe(("sluice.runs", 0))
    assert (effect.applied, producer.sent) == ([0], [])


async def test_too_many_dead_letters_pause_and_a_restart_writes_no_more(
    producer: MemoryProducer, notes: MemoryNotes
) -> None:
    records = [make_unreadable(number) for number in range(5)]
    for _ in range(3):  # each time as a new process would
        outcome = await make_handler(Effect(), producer, notes, most=2).handle_batch(
            records[-3:] if producer.sent else records
        )
        waiting = outcome.waiting["sluice.runs", 0]
        assert (waiting.offset, waiting.reason) == (2, "unreadable")
        assert "too many messages rejected, the latest because: unknown event type" in str(waiting.error)
    assert len(producer.sent) == 2
    assert notes.noted == [2]


async def test_an_operator_sets_aside_what_waits_whatever_the_reason(
    producer: MemoryProducer, notes: MemoryNotes
) -> None:
    notes.pause, notes.orders = "paused", dict.fromkeys((0, 1, 2), "seen to be rubbish")
    effect = Effect(errors={1: ValueError("private")})
    records = [make_unreadable(0), make_record(1), make_unreadable(2, ce_type=b"sluice.run.failed.v2"), make_record(3)]
    outcome = await make_handler(effect, producer, notes).handle_batch(records)
    assert outcome.waiting == {}
    assert effect.applied == [3]
    assert sorted(reason.partition(" (")[2].partition(":")[0].rstrip(")") for reason in producer.reasons()) == [
        "ConsumerPaused",
        "UnknownVersion",
        "ValueError",
    ]
    assert all(reason.startswith("set aside by an operator: seen to be rubbish") for reason in producer.reasons())


async def test_a_replayed_letter_is_the_message_that_it_was(producer: MemoryProducer, notes: MemoryNotes) -> None:
    origin = make_record(7)
    letter = read_dead_letter(store_record(to_dead_letter(origin, group=GROUP, reason="x", at=AT)))
    assert letter is not None
    record = store_record(to_replay_record(letter, topic=f"{GROUP}.replay"))
    effect = Effect(errors={7: MessageRejected("still")})
    handling = make_handler(effect, producer, notes)
    assert (await handling.handle_batch([record])).waiting == {}
    assert [each.key for each in producer.sent] == [letter.id], "the same letter again"
    assert effect.calls == [[7], [7]]
    assert (await handling.handle_batch([replace(record, headers=())])).waiting == {}, "what is no letter is ignored"


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
