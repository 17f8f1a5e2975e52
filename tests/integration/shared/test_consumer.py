"""The consumer on a real Kafka: commit after effect, retries, dead letters and their limit, rebalances."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from shared import codec, events
from shared.codec import Message
from shared.errors import MessageRejected, TooManyDeadLetters, TransientError
from shared.kafka import Consumer, Producer
from shared.kafka.admin import create_topics, replay_dead_letters
from shared.kafka.dead_letters import DeadLetterLimit
from shared.settings import KafkaSettings
from shared.topics import RUNS, TOPICS
from tests.contract.samples import AT, samples
from tests.support.listener import Listener
from tests.support.wait import eventually

FAILED = next(event for event in samples() if isinstance(event, events.RunFailed))


@dataclass
class FailingHandler:
    """Keeps the messages that it handles; fails `outages` times, and always for the numbers in `rejected`."""

    handled: list[tuple[UUID, int]] = field(default_factory=list)
    outages: int = 0
    rejected: set[int] = field(default_factory=set)

    async def __call__(self, messages: Sequence[Message]) -> None:
        if self.outages:
            self.outages -= 1
            raise TransientError("the database is unavailable")
        found = [message.event for message in messages if isinstance(message.event, events.RunFailed)]
        if any(event.seq in self.rejected for event in found):
            raise MessageRejected("this one can never be handled")
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


async def test_a_rejected_message_becomes_a_dead_letter_and_the_others_are_handled(
    kafka_address: str, producer: Producer
) -> None:
    handler, job = FailingHandler(rejected={7}), uuid4()
    async with Listener(kafka_address, RUNS.dead_letter_topic) as dead:
        await producer.send(records_of(job, range(20)))
        async with run_consumer(kafka_address, producer, handler, group=f"g-{job}"):
            await eventually(lambda: numbers_of(handler, job) == [number for number in range(20) if number != 7])
            record = await dead.record()
    notes = dict(record.headers)
    assert notes["dead_group"].decode() == f"g-{job}"
    assert notes["dead_reason"] == b"MessageRejected: this one can never be handled"


async def test_dead_letters_are_republished_once(kafka_address: str, producer: Producer) -> None:
    handler, job = FailingHandler(rejected={3}), uuid4()
    await producer.send(records_of(job, range(5)))
    async with run_consumer(kafka_address, producer, handler, group=f"g-{job}"):
        await eventually(lambda: numbers_of(handler, job) == [0, 1, 2, 4])
        handler.rejected.clear()
        assert await replay_dead_letters(kafka_address, RUNS, quiet=timedelta(seconds=5)) >= 1
        await eventually(lambda: numbers_of(handler, job) == [0, 1, 2, 4, 3])
    assert await replay_dead_letters(kafka_address, RUNS, quiet=timedelta(seconds=5)) == 0


async def test_too_many_dead_letters_end_the_consumer_with_its_offset_unmoved(
    kafka_address: str, producer: Producer
) -> None:
    job = uuid4()
    handler = FailingHandler(rejected=set(range(10)))
    await producer.send(records_of(job, range(10)))
    limit = DeadLetterLimit(maximum=3)
    async with run_consumer(kafka_address, producer, handler, group=f"g-{job}", limit=limit) as (_, running):
        with pytest.raises(TooManyDeadLetters):
            await asyncio.wait_for(running, 60)
    repaired = FailingHandler()
    async with run_consumer(kafka_address, producer, repaired, group=f"g-{job}"):
        await eventually(lambda: numbers_of(repaired, job) == list(range(10)))


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


async def test_topics_are_created_as_declared_and_again_without_effect(kafka_address: str) -> None:
    assert await create_topics(KafkaSettings(kafka_bootstrap=kafka_address)) == []
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_address)
    await admin.start()
    try:
        names = set(await admin.list_topics())
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in TOPICS]
        answers = await admin.describe_configs(resources)
    finally:
        await admin.close()
    assert {topic.name for topic in TOPICS} | {topic.dead_letter_topic for topic in TOPICS} <= names
    found = {
        resource[3]: {entry[0]: entry[1] for entry in resource[4]}
        for answer in answers
        for resource in answer.resources
    }
    for topic in TOPICS:
        config = found[topic.name]
        assert config["cleanup.policy"] == ("compact" if topic.retention is None else "delete")
        if topic.retention is not None:
            assert int(config["retention.ms"]) == topic.retention.total_seconds() * 1000
