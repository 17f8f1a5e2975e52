"""`create-topics` on a real broker: what operators have set stays or is reported, and no refusal is hidden."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from shared.kafka.admin import TopicsRefused, TopicsUnsuitable, create_topics
from shared.kafka.incremental_configs import TopicAdminClient
from shared.kafka.topic_configs import to_topic_config
from shared.settings import KafkaSettings
from shared.topics import JOBS, PROGRESS, RUNS, TOPICS, TRIGGERS

DAY = 24 * 3600 * 1000


@asynccontextmanager
async def open_admin(address: str) -> AsyncIterator[TopicAdminClient]:
    admin = TopicAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def set_config(address: str, topic: str, **config: str) -> None:
    """Set settings of a topic as its operator would."""
    async with open_admin(address) as admin:
        answers = await admin.set_topic_configs({topic: {name.replace("_", "."): v for name, v in config.items()}})
    assert answers == [(topic, 0, answers[0][2])]


async def read_config(address: str, topic: str) -> dict[str, str]:
    async with open_admin(address) as admin:
        (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def run_command(address: str, **environment: str) -> tuple[int | None, str]:
    """Run `create-topics`; return its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "shared.kafka_admin", "create-topics"),
        env={"PATH": os.environ["PATH"], "SLUICE_KAFKA_BOOTSTRAP": address, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


@pytest.fixture(scope="module")
async def address(own_kafka: str) -> str:
    await create_topics(KafkaSettings(kafka_bootstrap=own_kafka, kafka_partitions=2))
    return own_kafka


async def test_a_brokers_refusal_to_create_is_shown_with_exit_status_1(own_kafka: str) -> None:
    # The first test here: no topic exists yet.
    status, output = await run_command(own_kafka, SLUICE_KAFKA_REPLICATION="3")
    assert status == 1
    assert re.search(r"Kafka refused to create topics:\n.*sluice\.jobs: .*replication", output, re.S | re.I), output


def settings(address: str) -> KafkaSettings:
    return KafkaSettings(kafka_bootstrap=address, kafka_partitions=2)


async def test_topics_are_created_as_declared_and_again_without_effect(address: str) -> None:
    again = await create_topics(settings(address))
    assert (again.created, again.changed, again.kept) == ([], {}, [])
    for topic in TOPICS:
        assert to_topic_config(topic, 1).items() <= (await read_config(address, topic.name)).items()


async def test_what_an_operator_has_set_stays_and_is_shown(address: str) -> None:
    await set_config(address, RUNS.name, retention_ms=str(400 * DAY), segment_ms=str(DAY))
    status, output = await run_command(address, SLUICE_KAFKA_PARTITIONS="2")
    assert status == 0, output
    assert f"kept as it is: sluice.runs retention.ms={400 * DAY} (Sluice's: {90 * DAY})" in output
    config = await read_config(address, RUNS.name)
    assert (config["retention.ms"], config["segment.ms"]) == (str(400 * DAY), str(DAY))


async def test_a_missing_setting_is_added_and_nothing_else_is_touched(address: str) -> None:
    topic = replace(PROGRESS, name="sluice.older")
    async with open_admin(address) as admin:
        older = NewTopic(topic.name, 2, 1, topic_configs={"cleanup.policy": "delete", "segment.bytes": "1048576"})
        await admin.create_topics([older])
    done = await create_topics(settings(address), [topic])
    assert set(done.changed) == {topic.name}
    assert "cleanup.policy" not in done.changed[topic.name]
    config = await read_config(address, topic.name)
    assert (config["segment.bytes"], config["retention.ms"]) == ("1048576", str(2 * DAY))


@pytest.mark.parametrize(
    ("topic", "name", "value", "words"),
    [
        (JOBS, "cleanup.policy", "compact,delete", "set compact"),
        (TRIGGERS, "cleanup.policy", "compact", "set delete"),
        (TRIGGERS, "retention.ms", str(DAY), f"set {30 * DAY} or more"),
        (TRIGGERS, "retention.bytes", "1000000", "set -1"),
        (JOBS, "max.message.bytes", "1000", "larger messages are sent"),
        (JOBS, "unclean.leader.election.enable", "true", "set false"),
    ],
    ids=lambda each: str(getattr(each, "name", each)),
)
async def test_a_setting_that_breaks_a_promise_fails_with_words_and_changes_nothing(
    address: str, topic: object, name: str, value: str, words: str
) -> None:
    assert topic in (JOBS, TRIGGERS)
    where = JOBS.name if topic is JOBS else TRIGGERS.name
    before = await read_config(address, where)
    await set_config(address, where, **{name.replace(".", "_"): value})
    try:
        with pytest.raises(TopicsUnsuitable, match=f"{where} has {name}={value}, .*{words}"):
            await create_topics(settings(address))
        assert (await read_config(address, where))[name] == value
    finally:
        await set_config(address, where, **{name.replace(".", "_"): before[name]})


async def test_too_few_replicas_of_an_existing_topic_are_reported(address: str) -> None:
    status, output = await run_command(address, SLUICE_KAFKA_REPLICATION="3")
    assert status == 1
    assert "sluice.jobs has 1 replicas, fewer than SLUICE_KAFKA_REPLICATION=3" in output


async def test_a_brokers_refusal_of_a_value_is_shown(address: str) -> None:
    topic = replace(RUNS, name="sluice.odd", dead_letters=False)
    await create_topics(settings(address), [topic])
    with pytest.raises(TopicsRefused, match=r"sluice\.odd: .*segment\.bytes"):
        await create_topics(settings(address), [replace(topic, settings={"segment.bytes": "none"})])
