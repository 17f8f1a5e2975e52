"""The consumer on a real Kafka: effect before commit, retries, dead letters and their replay, rebalances, pauses."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from deploy.local.kafka import Kafka
from shared import codec, events
from shared.codec import Message
from shared.errors import MessageRejected, TransientError
from shared.kafka import Consumer, Producer
from shared.kafka.admin import create_topics
from shared.kafka.dead_letters import DeadLetterLimit
from shared.kafka.letter_replay import NotReplayable, list_open_letters, replay_dead_letters, set_aside
from shared.kafka.notes import Note
from shared.observe import CONSUMER_WAITING
from shared.settings import KafkaSettings
from shared.topics import JOBS, RUNS
from tests.contract.samples import AT, samples
from tests.support.listener import Listener
from tests.support.wait import eventually

FAILED = next(event for event in samples() if isinstance(event, events.RunFailed))


@dataclass
class FailingHandler:
    """An effect that fails on demand: for now, for good, or for a reason that nobody foresaw."""

    handled: list[tuple[UUID, int]] = field(default_factory=list)
    outages: int = 0
    rejected: set[int] = field(default_factory=set)
    unexpected: set[int] = field(default_factory=set)
    fails_for: UUID | None = None

    async def __call__(self, messages: Sequence[Message]) -> None:
        if self.outages:
            self.outages -= 1
            raise TransientError("the database is unavailable")
        found = [message.event for message in messages if isinstance(message.event, events.RunFailed)]
        theirs = {event.seq for event in found if self.fails_for in (None, event.job_id)}
        if theirs & self.rejected:
            raise MessageRejected("this one can never be handled")
        if theirs & self.unexpected:
            raise PermissionError("private")
        self.handled += [(event.job_id, event.seq) for event in found]


@pytest.fixture(scope="module")
async def kafka_address(own_kafka: str) -> str:
    await create_topics(KafkaSettings(kafka_bootstrap=own_kafka, kafka_partitions=4))
    return own_kafka


@pytest.fixture
async def producer(kafka_address: str) -> AsyncIterator[Producer]:
    async with Producer.open(kafka_address, name="test") as opened:
        yield opened


@asynccontextmanager
async def run_consumer(
    address: str,
    producer: Producer,
    handler: FailingHandler,
    *,
    group: str,
    limit: DeadLetterLimit | None = None,
    batch: int = 500,
) -> AsyncIterator[tuple[Consumer, asyncio.Task[None]]]:
    consumer = Consumer(
        kafka=address, group=group, topics=[RUNS], handle=handler, producer=producer, limit=limit, batch=batch
    )
    stopping = asyncio.Event()
    running = asyncio.create_task(consumer.run(stopping))
    try:
        yield consumer, running
    finally:
        stopping.set()
        await asyncio.gather(running, return_exceptions=True)


def records_of(job: UUID, numbers: Sequence[int]) -> list[codec.Record]:
    return [codec.encode(replace(FAILED, job_id=job, seq=number), source="test", at=AT) for number in numbers]


def numbers_of(handler: FailingHandler, job: UUID) -> list[int]:
    return [seq for each, seq in handler.handled if each == job]


async def test_a_transient_error_is_retried_in_order(kafka_address: str, producer: Producer) -> None:
    handler, job = FailingHandler(outages=3), uuid4()
    await producer.send(records_of(job, range(100)))
    async with run_consumer(kafka_address, producer, handler, group=f"g-{job}", batch=30) as (consumer, _):
        await eventually(lambda: numbers_of(handler, job) == list(range(100)))
        assert consumer.find_fault() is None
    again = FailingHandler()
    async with run_consumer(kafka_address, producer, again, group=f"g-{job}"):
        await producer.send(records_of(job, [100]))
        await eventually(lambda: numbers_of(again, job))
    assert numbers_of(again, job) == [100], "committed messages are not handled again"


async def test_poison_goes_to_the_dead_letters_and_the_rest_is_handled(kafka_address: str, producer: Producer) -> None:
    job = uuid4()
    handler = FailingHandler(rejected={7}, fails_for=job)
    async with Listener(kafka_address, RUNS.dead_letter_topic) as dead:
        await producer.send(records_of(job, range(20)))
        async with run_consumer(kafka_address, producer, handler, group=f"g-{job}"):
            await eventually(lambda: numbers_of(handler, job) == [number for number in range(20) if number != 7])
            record = await dead.record()
    notes = dict(record.headers)
    assert notes["dead_group"].decode() == f"g-{job}"
    assert notes["dead_reason"] == b"MessageRejected: this one can never be handled"


async def test_a_letter_is_replayed_once_and_to_its_group_only(kafka_address: str, producer: Producer) -> None:
    job = uuid4()
    ours, others = FailingHandler(rejected={3}, fails_for=job), FailingHandler()
    async with (
        Listener(kafka_address, RUNS.name) as source,
        run_consumer(kafka_address, producer, ours, group="sluice.job-api"),
        run_consumer(kafka_address, producer, others, group="sluice.history.recorder"),
    ):
        await producer.send(records_of(job, range(5)))
        for _ in range(5):
            await source.record()
        await eventually(lambda: numbers_of(ours, job) == [0, 1, 2, 4])
        await eventually(lambda: numbers_of(others, job) == [0, 1, 2, 3, 4])
        letters = await list_open_letters(kafka_address, RUNS, group="sluice.job-api")
        assert len(letters) == 1
        # Replayed while the reason persists, it is the same letter again, and no further one.
        for _ in range(3):
            assert await replay_dead_letters(kafka_address, RUNS, group="sluice.job-api") == 1
            await eventually_open(kafka_address, "sluice.job-api", letters[0].id)
        ours.rejected.clear()
        assert await replay_dead_letters(kafka_address, RUNS, group="sluice.history.recorder") == 0
        assert await replay_dead_letters(kafka_address, RUNS, group="sluice.job-api") == 1
        await eventually(lambda: numbers_of(ours, job) == [0, 1, 2, 4, 3])
        assert await replay_dead_letters(kafka_address, RUNS, group="sluice.job-api") == 0
        end = uuid4()
        await producer.send(records_of(end, [0]))
        assert UUID(bytes_of(await source.record())) == end, "nothing was put back on the topic"
        await eventually(lambda: numbers_of(others, end) == [0])
    assert numbers_of(others, job) == [0, 1, 2, 3, 4]


async def eventually_open(address: str, group: str, letter: bytes) -> None:
    async def is_open() -> bool:
        return [each.id for each in await list_open_letters(address, RUNS, group=group)] == [letter]

    await eventually(is_open)


def bytes_of(record: codec.Received) -> str:
    return (record.key or b"").decode()


async def test_letters_of_compacted_topics_are_not_replayed() -> None:
    with pytest.raises(NotReplayable, match="run python -m job_api republish"):
        await replay_dead_letters("127.0.0.1:1", JOBS, group="sluice.scheduler")
    with pytest.raises(NotReplayable, match=r"sluice\.scheduler does not follow sluice\.runs"):
        await replay_dead_letters("127.0.0.1:1", RUNS, group="sluice.scheduler")


def waiting(group: str, reason: str) -> float:
    return float(CONSUMER_WAITING.labels(group, reason)._value.get())


async def test_a_message_that_fails_unexpectedly_waits_until_it_is_repaired_or_set_aside(
    kafka_address: str, producer: Producer
) -> None:
    job = uuid4()
    group, handler = f"g-{job}", FailingHandler(unexpected={3, 7}, fails_for=job)
    await producer.send(records_of(job, range(10)))
    async with run_consumer(kafka_address, producer, handler, group=group) as (consumer, _):
        await eventually(lambda: numbers_of(handler, job) == [0, 1, 2])
        fault = await eventually(consumer.find_fault)
        assert fault is not None
        assert fault.endswith(": PermissionError"), "what may quote the message is not repeated"
        assert waiting(group, "unexpected") == 1
        elsewhere = [uuid4() for _ in range(20)]
        await producer.send([record for each in elsewhere for record in records_of(each, [0])])
        # Those of three other partitions are not held up.
        await eventually(lambda: sum(bool(numbers_of(handler, each)) for each in elsewhere) >= 5)
        handler.unexpected.remove(3)
        await eventually(lambda: numbers_of(handler, job) == [0, 1, 2, 3, 4, 5, 6])
        stuck = await eventually(lambda: new_place(consumer, after=find_place(fault)))
        assert stuck is not None
        partition, offset = map(int, stuck)
        note = Note(
            kind="set-aside",
            group=group,
            topic=RUNS.name,
            partition=partition,
            first=offset,
            last=offset,
            reason="rubbish",
        )
        await set_aside(kafka_address, note)
        await eventually(lambda: numbers_of(handler, job) == [0, 1, 2, 3, 4, 5, 6, 8, 9])
        await eventually(lambda: consumer.find_fault() is None)
        assert waiting(group, "unexpected") == 0
    (letter,) = await list_open_letters(kafka_address, RUNS, group=group)
    assert (letter.message.partition, letter.message.offset) == (partition, offset)


def find_place(fault: str | None) -> tuple[str, str] | None:
    """Return partition and offset of the message that a fault names."""
    found = re.search(r"sluice\.runs\[(\d+)\] waits at offset (\d+):", fault or "")
    return (found[1], found[2]) if found else None


def new_place(consumer: Consumer, *, after: tuple[str, str] | None) -> tuple[str, str] | None:
    place = find_place(consumer.find_fault())
    return place if place != after else None


async def test_too_many_unreadable_messages_pause_the_group_and_restarts_write_no_more_letters(
    kafka_address: str, producer: Producer
) -> None:
    job, group = uuid4(), f"g-{uuid4()}"
    handler = FailingHandler(rejected=set(range(10)), fails_for=job)
    await producer.send(records_of(job, range(12)))
    for _ in range(3):
        limit = DeadLetterLimit(maximum=3)
        async with run_consumer(kafka_address, producer, handler, group=group, limit=limit) as (consumer, running):
            await eventually(lambda: "too many messages rejected" in str(consumer.find_fault()))
            assert waiting(group, "unreadable") == 1
            assert not running.done()
    assert len(await list_open_letters(kafka_address, RUNS, group=group)) == 3
    repaired = FailingHandler()
    async with run_consumer(kafka_address, producer, repaired, group=group):
        await eventually(lambda: numbers_of(repaired, job) == list(range(3, 12)))


async def test_joining_and_leaving_members_lose_no_message(kafka_address: str, producer: Producer) -> None:
    group, jobs = f"g-{secrets.token_hex(4)}", [uuid4() for _ in range(40)]
    first, second, third = FailingHandler(), FailingHandler(), FailingHandler()
    async with run_consumer(kafka_address, producer, first, group=group, batch=20) as (_, one):
        await producer.send([record for job in jobs for record in records_of(job, range(50))])
        async with run_consumer(kafka_address, producer, second, group=group, batch=20) as (member, _):
            await eventually(lambda: member.find_fault() is None)
            await producer.send([record for job in jobs for record in records_of(job, range(50, 100))])
            await eventually(lambda: bool(second.handled))
        async with run_consumer(kafka_address, producer, third, group=group, batch=20):
            await producer.send([record for job in jobs for record in records_of(job, range(100, 150))])
            everything = {(job, number) for job in jobs for number in range(150)}
            await eventually(lambda: everything <= {*first.handled, *second.handled, *third.handled})
        assert not one.done()


async def test_a_message_as_large_as_the_end_of_ten_thousand_files_is_handled(
    kafka_address: str, producer: Producer
) -> None:
    handler, job = FailingHandler(), uuid4()
    large = replace(FAILED, job_id=job, seq=1, message="".join(secrets.token_hex(1024) for _ in range(2500)))
    async with run_consumer(kafka_address, producer, handler, group=f"g-{job}"):
        await producer.send([codec.encode(large, source="test", at=AT)])
        await eventually(lambda: numbers_of(handler, job) == [1])


async def test_a_later_version_of_an_event_waits_for_the_upgrade(
    kafka_address: str, producer: Producer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The last test here: a consumer that reads the topic from its beginning stops at this message.
    job, group, handler = uuid4(), f"g-{uuid4()}", FailingHandler()
    first, second, third = records_of(job, range(3))
    headers = tuple((name, b"sluice.run.failed.v9" if name == "ce_type" else value) for name, value in second.headers)
    await producer.send([first, replace(second, headers=headers), third])
    async with run_consumer(kafka_address, producer, handler, group=group) as (consumer, _):
        await eventually(lambda: "is newer than this release" in str(consumer.find_fault()))
        await eventually(lambda: numbers_of(handler, job) == [0])
    assert await list_open_letters(kafka_address, RUNS, group=group) == []
    upgraded = FailingHandler()
    monkeypatch.setitem(codec._DECODERS, b"sluice.run.failed.v9", codec._DECODERS[b"sluice.run.failed.v1"])
    async with run_consumer(kafka_address, producer, upgraded, group=group):
        await eventually(lambda: numbers_of(upgraded, job) == [1, 2])


async def test_a_member_stops_although_the_broker_no_longer_answers(
    own_broker: Kafka, kafka_address: str, producer: Producer
) -> None:
    handler, broker = FailingHandler(), own_broker.process
    assert broker is not None
    consumer = Consumer(kafka=kafka_address, group="frozen", topics=[RUNS], handle=handler, producer=producer)
    stopping = asyncio.Event()
    running = asyncio.create_task(consumer.run(stopping))
    await eventually(lambda: consumer.find_fault() is None)
    broker.pause(paused=True)
    try:
        stopping.set()
        with capture_logs() as logs:
            await running
    finally:
        broker.pause(paused=False)
    assert "left the group without the broker's answer" in [entry["event"] for entry in logs]


async def test_a_member_stops_although_the_broker_does_not_answer_its_commit(
    own_broker: Kafka, kafka_address: str, producer: Producer
) -> None:
    broker, stopping = own_broker.process, asyncio.Event()
    assert broker is not None

    async def handle(messages: Sequence[Message]) -> None:
        broker.pause(paused=True)
        stopping.set()

    await producer.send(records_of(uuid4(), range(1)))
    consumer = Consumer(kafka=kafka_address, group="frozen-commit", topics=[RUNS], handle=handle, producer=producer)
    try:
        with capture_logs() as logs:
            await asyncio.wait_for(consumer.run(stopping), 120)
    finally:
        broker.pause(paused=False)
    assert "offsets not committed yet" in [entry["event"] for entry in logs]
