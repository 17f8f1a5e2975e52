"""The outbox and its relays on real PostgreSQL and Kafka: each key's events in order, and none lost."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from shared import codec, events, outbox
from shared.codec import decode
from shared.kafka import KafkaUnavailable, Producer
from shared.lifecycle import wait_for_first
from shared.outbox import Relay
from shared.postgres import Pool, connection, open_pool, transaction
from tests.contract.samples import AT, samples
from tests.support.listener import Listener
from tests.support.system import System
from tests.support.wait import eventually

FAILED = next(event for event in samples() if isinstance(event, events.RunFailed))


@pytest.fixture(scope="module")
async def pool(system: System) -> AsyncIterator[Pool]:
    async with open_pool(system.dsn("exporter"), size=10, name="test") as opened:
        yield opened


@pytest.fixture
async def producer(system: System) -> AsyncIterator[Producer]:
    async with Producer.open(system.kafka, name="test-relay") as opened:
        yield opened


async def rows(pool: Pool) -> int:
    async with connection(pool) as database:
        return int(await database.fetchval("SELECT count(*) FROM outbox"))


async def write(pool: Pool, job: UUID, first: int, last: int) -> None:
    written = [replace(FAILED, job_id=job, seq=number) for number in range(first, last)]
    async with transaction(pool) as database:
        await outbox.write(database, written, source="exporter", at=AT)


async def collect(listener: Listener, jobs: list[UUID], each: int) -> dict[UUID, list[int]]:
    found: dict[UUID, list[int]] = defaultdict(list)
    while any(len(set(found[job])) < each for job in jobs):
        event = decode(await listener.record()).event
        assert isinstance(event, events.RunFailed)
        found[event.job_id].append(event.seq)
    return found


async def test_several_relays_publish_each_key_in_order(system: System, pool: Pool, producer: Producer) -> None:
    jobs = [uuid4() for _ in range(20)]
    stopping = asyncio.Event()
    relays = [Relay(pool, producer, dsn=system.dsn("exporter"), service="exporter") for _ in range(3)]
    async with Listener(system.kafka, "sluice.runs") as listener:
        running = [asyncio.create_task(relay.run(stopping)) for relay in relays]
        await asyncio.gather(*(write(pool, job, start, start + 10) for start in range(0, 100, 10) for job in jobs[:1]))
        for start in range(0, 100, 10):
            await asyncio.gather(*(write(pool, job, start, start + 10) for job in jobs[1:]))
        found = await collect(listener, jobs, 100)
        stopping.set()
        await asyncio.gather(*running)
    for job in jobs[1:]:
        assert found[job] == list(range(100))
    assert await rows(pool) == 0


async def test_what_is_rolled_back_is_never_published(system: System, pool: Pool, producer: Producer) -> None:
    committed, rolled_back = uuid4(), uuid4()
    relay = Relay(pool, producer, dsn=system.dsn("exporter"), service="exporter")

    async def write_and_fail() -> None:
        async with transaction(pool) as database:
            await outbox.write(database, [replace(FAILED, job_id=rolled_back)], source="exporter", at=AT)
            raise RuntimeError("the change did not happen")

    async with Listener(system.kafka, "sluice.runs") as listener:
        with pytest.raises(RuntimeError):
            await write_and_fail()
        await write(pool, committed, 0, 1)
        assert await relay.publish_batch() == 1
        event = decode(await listener.record()).event
    assert isinstance(event, events.RunFailed)
    assert event.job_id == committed


async def test_an_event_that_kafka_would_refuse_fails_its_own_change_only(
    system: System, pool: Pool, producer: Producer
) -> None:
    """Within the outbox it would hold up all keys of its shard; the largest that is accepted passes through Kafka."""
    job = uuid4()
    length = outbox.LARGEST_EVENT - len(
        codec.encode(replace(FAILED, message=""), source="exporter", at=AT).value or b""
    )
    too_large = replace(FAILED, job_id=job, message="x" * (length + 1))
    async with transaction(pool) as database:
        with pytest.raises(outbox.EventTooLarge, match="exceeds the limit"):
            await outbox.write(database, [FAILED, too_large], source="exporter", at=AT)
    assert await rows(pool) == 0
    async with Listener(system.kafka, "sluice.runs") as listener:
        async with transaction(pool) as database:
            largest = replace(FAILED, job_id=job, message="x" * length)
            await outbox.write(database, [largest], source="exporter", at=AT)
        assert await Relay(pool, producer, dsn=system.dsn("exporter"), service="exporter").publish_batch() == 1
        assert await listener.find(lambda event: getattr(event, "job_id", None) == job) == largest


class DyingProducer(Producer):
    """Sends a batch and then fails, like a relay that dies before its commit."""

    async def send(self, records: object) -> None:
        await super().send(records)  # type: ignore[arg-type]  # any iterable of records
        raise KafkaUnavailable("died after sending")


async def test_a_relay_that_dies_after_sending_loses_nothing(system: System, pool: Pool, producer: Producer) -> None:
    job = uuid4()
    await write(pool, job, 0, 5)
    async with Listener(system.kafka, "sluice.runs") as listener:
        async with DyingProducer.open(system.kafka, name="dying") as dying:
            with pytest.raises(KafkaUnavailable):
                await Relay(pool, dying, dsn=system.dsn("exporter"), service="exporter").publish_batch()
        assert await rows(pool) == 5
        assert await Relay(pool, producer, dsn=system.dsn("exporter"), service="exporter").publish_batch() == 5
        found = [decode(await listener.record()).event for _ in range(10)]
    numbers = [event.seq for event in found if isinstance(event, events.RunFailed)]
    assert numbers == [0, 1, 2, 3, 4] * 2, "sent twice, in order, and none lost"
    assert await rows(pool) == 0


async def test_a_relay_is_woken_by_the_commit(system: System, pool: Pool, producer: Producer) -> None:
    relay = Relay(pool, producer, dsn=system.dsn("exporter"), service="exporter")
    woken = asyncio.Event()
    stopping = asyncio.Event()
    relay._woken = woken
    listening = asyncio.create_task(relay.run(stopping))
    try:
        await eventually(lambda: not woken.is_set())
        job = uuid4()
        async with Listener(system.kafka, "sluice.runs") as listener:
            await write(pool, job, 0, 1)
            assert (await collect(listener, [job], 1))[job] == [0]
    finally:
        stopping.set()
        await wait_for_first(stopping)
        await listening
