"""What the real faust app of the estimates does with messages that it cannot handle: it pauses, and writes no more."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from uuid import UUID, uuid4

import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from history.estimating.agents import GROUP
from shared import codec
from shared.clock import SystemClock
from shared.kafka import Producer
from shared.kafka.dead_letters import to_dead_letter
from shared.kafka.letter_replay import list_open_letters, replay_dead_letters, set_aside
from shared.kafka.notes import Note
from shared.kafka.partition import select_partition
from shared.postgres import migrate
from shared.topics import PROGRESS, RUNS, Topic, find_replay_topic
from tests.support.listener import Listener
from tests.support.system import PARTITIONS, Service, System
from tests.support.wait import eventually
from tests.unit.history.scenarios import RunScenario

UNKNOWN = b"sluice.run.failed.v9"


@pytest.fixture(scope="module")
async def ready(system: System) -> System:
    await migrate(system.owner_dsn("history"), "history")
    return system


@pytest.fixture
async def producer(ready: System) -> AsyncIterator[Producer]:
    async with Producer.open(ready.kafka, name="test") as opened:
        yield opened


def start(system: System) -> Service:
    return system.start("history", "estimates", {"STORE": system.folder.as_uri()})


async def find_fault(service: Service) -> str:
    """Return what `/readyz` says is missing; empty for a process that is ready or does not answer yet."""
    async with httpx.AsyncClient() as client:
        try:
            answer = await client.get(f"{service.url}/readyz", timeout=10)
        except httpx.TransportError:
            return ""
    return answer.text if answer.status_code == 503 else ""


async def wait_for_fault(service: Service, words: str) -> None:
    async def is_said() -> bool:
        return words in await find_fault(service)

    await eventually(is_said, timeout=90)


async def read_offsets(system: System, topic: Topic, job_id: UUID) -> tuple[int, int]:
    """Return the group's committed offset of a job's partition, and its end."""
    place = TopicPartition(topic.name, select_partition(str(job_id).encode(), PARTITIONS))
    async with AIOKafkaConsumer(bootstrap_servers=system.kafka, group_id=GROUP, enable_auto_commit=False) as observer:
        return await observer.committed(place) or 0, (await observer.end_offsets([place]))[place]


def create_failures(job_id: UUID, count: int) -> list[codec.Record]:
    """Return events of one job's runs: records of one partition."""
    at = SystemClock().now()
    runs = [RunScenario(job_id=job_id, at=at).failed().runs[0] for _ in range(count)]
    return [codec.encode(run, source="exporter", at=at) for run in runs]


def change_type(records: Sequence[codec.Record], ce_type: bytes) -> list[codec.Record]:
    return [
        replace(each, headers=tuple((name, ce_type if name == "ce_type" else value) for name, value in each.headers))
        for each in records
    ]


async def set_all_aside(system: System, job_id: UUID, count: int) -> None:
    """Order the group to set the waiting messages of a job's partition aside, as an operator does."""
    first, _ = await read_offsets(system, RUNS, job_id)
    partition = select_partition(str(job_id).encode(), PARTITIONS)
    note = Note(
        kind="set-aside",
        group=GROUP,
        topic=RUNS.name,
        partition=partition,
        first=first,
        last=first + count,
        reason="test",
    )
    await set_aside(system.kafka, note)


async def test_dead_letters_of_the_estimates_are_replayed_to_the_app_once(ready: System, producer: Producer) -> None:
    scenario = RunScenario(at=SystemClock().now()).triggered().queued().started().progressed(10).progressed(60)
    estimates = start(ready)
    await estimates.wait_ready()
    await ready.publish(*scenario.triggers, *scenario.runs)
    at = SystemClock().now()
    records = [codec.encode(event, source="exporter", at=at) for event in scenario.progress]
    origins = [
        codec.Received(each.topic, 0, number, each.key, each.value, each.headers) for number, each in enumerate(records)
    ]
    await producer.send([to_dead_letter(origin, group=GROUP, reason="test", at=at) for origin in origins])
    async with Listener(ready.kafka, "sluice.estimates") as published:
        assert await replay_dead_letters(ready.kafka, PROGRESS, group=GROUP) == len(origins)
        found = await published.find(lambda event: getattr(event, "run_id", None) == scenario.run_id)
    assert getattr(found, "job_id", None) == scenario.job_id
    replayed = {"group": GROUP, "topic": find_replay_topic(GROUP) or ""}

    async def are_consumed() -> bool:
        return await estimates.metric("sluice_consumed_messages_total", **replayed) == len(origins)

    await eventually(are_consumed)
    assert await replay_dead_letters(ready.kafka, PROGRESS, group=GROUP) == 0
    assert estimates.process.stop() == 0


async def test_a_rolling_upgrade_with_many_unknown_events_pauses_and_writes_no_letter(
    ready: System, producer: Producer
) -> None:
    job_id, count = uuid4(), 120
    _, first = await read_offsets(ready, RUNS, job_id)
    known, *unknown = create_failures(job_id, count + 1)
    await producer.send([known, *change_type(unknown, UNKNOWN)])
    estimates = start(ready)
    await wait_for_fault(estimates, "is newer than this release")
    # A stop while the message waits loses it as little as a restart makes it pass.
    assert estimates.process.stop() == 0
    estimates = start(ready)
    await wait_for_fault(estimates, "is newer than this release")
    assert await estimates.metric("sluice_consumer_waiting_partitions", group=GROUP, reason="unreadable") == 1
    committed, _ = await read_offsets(ready, RUNS, job_id)
    assert committed == first + 1, "up to the first that it does not know"
    assert await list_open_letters(ready.kafka, RUNS, group=GROUP) == []
    await set_all_aside(ready, job_id, count)

    async def are_set_aside() -> bool:
        return len(await list_open_letters(ready.kafka, RUNS, group=GROUP)) == count

    await eventually(are_set_aside)
    await estimates.wait_ready()
    assert estimates.process.stop() == 0


async def test_too_many_unreadable_messages_pause_the_app_and_restarts_write_no_more_letters(
    ready: System, producer: Producer
) -> None:
    job_id, count = uuid4(), 130
    before = len(await list_open_letters(ready.kafka, RUNS, group=GROUP))
    await producer.send([replace(each, value=b"{}") for each in create_failures(job_id, count)])
    estimates = start(ready)
    await wait_for_fault(estimates, "too many messages rejected")
    assert estimates.process.stop() == 0
    estimates = start(ready)
    await wait_for_fault(estimates, "too many messages rejected")
    assert len(await list_open_letters(ready.kafka, RUNS, group=GROUP)) - before == 100
    await set_all_aside(ready, job_id, count)

    async def are_set_aside() -> bool:
        return len(await list_open_letters(ready.kafka, RUNS, group=GROUP)) - before == count

    await eventually(are_set_aside)
    await estimates.wait_ready()
    assert estimates.process.stop() == 0
