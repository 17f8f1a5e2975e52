"""The public topics on a Kafka with TLS, logins and ACLs: access as in docs/EVENTS.md, and the example consumer."""

import argparse
import asyncio
import json
import os
import re
import secrets
import shlex
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest

from deploy.local.kafka import Kafka
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.reaper import Reaper
from shared import codec, events
from shared.kafka import Producer
from shared.kafka.admin import create_topics
from shared.kafka_access import KafkaAccess
from shared.settings import KafkaSettings
from shared.topics import TOPICS
from tests.contract.samples import AT, samples
from tests.integration.deploy.conftest import PROPERTIES, format_with_login
from tests.support.authority import Authority

ROOT = Path(__file__).parents[3]
GUIDE = ROOT / "docs/EVENTS.md"
EXAMPLE = ROOT / "docs/examples/consume_runs.py"
USER, GROUP = "warehouse", "warehouse.runs"
AUTHORIZER = """\
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""
# Kafka's numbers: ResourceType, PatternType, AclOperation and AclPermissionType of its Java client.
TOPIC, GROUPS = 2, 3
PATTERNS = {"literal": 3, "prefixed": 4}
OPERATIONS = {"Read": 3, "Describe": 8}
ALLOW = 3
LIMIT = 60


@dataclass(frozen=True)
class Cluster:
    """A cluster with an authorizer: an open listener for Sluice, a login over TLS for others."""

    open: str
    outside: KafkaAccess


@pytest.fixture(scope="module")
async def cluster(authority: Authority, reaper: Reaper, servers_folder: Path) -> AsyncIterator[Cluster]:
    """Start a cluster with Sluice's topics and the access that the guide gives to `warehouse`."""
    certificate, key = authority.sign("kafka-acls", LOOPBACK)
    keystore = certificate.with_name("kafka-acls-keystore.pem")
    keystore.write_bytes(key.read_bytes() + certificate.read_bytes())
    login, password = free_port(), secrets.token_hex(16)
    extra = PROPERTIES.format(
        login=login,
        mutual=free_port(),
        keystore=keystore,
        truststore=authority.ca,
        password=password,
        login_module="org.apache.kafka.common.security",
    )
    folder = Path(tempfile.mkdtemp(prefix="kafka-acls-", dir=servers_folder))
    format_with_login(folder, password, user=USER)
    server = Kafka(folder, reaper, extra=extra + AUTHORIZER)
    outside = KafkaAccess(
        bootstrap=f"{LOOPBACK}:{login}",
        protocol="SASL_SSL",
        username=USER,
        password=password,
        ca_file=str(authority.ca),
    )
    given = Cluster(server.start(), outside)
    await create_topics(KafkaSettings(kafka_bootstrap=given.open, kafka_partitions=3, kafka_replication=1))
    await grant(given.open)
    yield given
    server.stop()


def recipe() -> Iterator[argparse.Namespace]:
    """Yield the options of each `kafka-acls.sh` command in the guide."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--command-config", required=True)
    parser.add_argument("--add", action="store_true", required=True)
    parser.add_argument("--allow-principal", required=True)
    parser.add_argument("--operation", action="append", required=True)
    parser.add_argument("--topic", action="append", default=[])
    parser.add_argument("--group", action="append", default=[])
    parser.add_argument("--resource-pattern-type", default="literal")
    (block,) = re.findall(r"```sh\n(kafka-acls\.sh .*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    for line in block.replace("\\\n", "").splitlines():
        yield parser.parse_args(shlex.split(line)[1:])


async def grant(bootstrap: str) -> None:
    """Send the requests that the guide's commands send."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        for options in recipe():
            resources = [(TOPIC, name) for name in options.topic] + [(GROUPS, name) for name in options.group]
            for kind, name in resources:
                for operation in options.operation:
                    pattern = PATTERNS[options.resource_pattern_type]
                    request = CreateAclsRequest(
                        kind, name, pattern, options.allow_principal, "*", OPERATIONS[operation], ALLOW
                    )
                    answer = await admin._send_request(request)
                    assert [code for code, *_ in answer.creation_responses] == [0]
    finally:
        await admin.close()


@asynccontextmanager
async def example(cluster: Cluster, folder: Path) -> AsyncIterator[Process]:
    """Run the example as another system would, and stop it as a service manager does."""
    access = cluster.outside
    environment = {
        "PATH": os.environ["PATH"],
        "KAFKA_BOOTSTRAP": access.bootstrap,
        "KAFKA_GROUP": GROUP,
        "KAFKA_USERNAME": USER,
        "KAFKA_PASSWORD": str(access.password),
        "KAFKA_CA_FILE": str(access.ca_file),
        "STATE": str(folder / "runs.sqlite"),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLE), env=environment, cwd=folder, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), LIMIT)


async def printed(process: Process, count: int) -> list[dict[str, object]]:
    """Return the next lines that the example prints."""
    assert process.stdout is not None
    lines = [await asyncio.wait_for(process.stdout.readline(), LIMIT) for _ in range(count)]
    assert all(lines), process.stderr and (await process.stderr.read()).decode()
    return [json.loads(line) for line in lines]


def success() -> events.RunSucceeded:
    """Return the event of a new run of a new job."""
    sample = next(each for each in samples() if isinstance(each, events.RunSucceeded))
    return replace(sample, job_id=uuid4(), run_id=uuid4())


def first_version(event: events.RunSucceeded) -> events.RunSucceededV1:
    """Return an event as version 1 has it."""
    kept = {each.name: getattr(event, each.name) for each in fields(events.RunSucceededV1)}
    return events.RunSucceededV1(**kept)


async def publish(cluster: Cluster, *published: events.Event) -> None:
    async with Producer.open(cluster.open, name="test") as producer:
        await producer.send([codec.encode(each, source="exporter", at=AT) for each in published])


async def test_the_example_prints_each_succeeded_run_once_and_continues_after_a_restart(
    cluster: Cluster, tmp_path: Path
) -> None:
    others = [each for each in samples() if isinstance(each, events.RunEvent | events.FilesExpired)]
    others = [each for each in others if not isinstance(each, events.RunSucceeded | events.RunSucceededV1)]
    new, old, later = success(), success(), success()
    await publish(cluster, *others, new, first_version(old), new, first_version(old))
    async with example(cluster, tmp_path) as process:
        found = {line["run"]: line for line in await printed(process, 2)}
    assert process.returncode == 0
    assert found[str(new.run_id)] == {
        "run": str(new.run_id),
        "job": str(new.job_id),
        "title": new.title,
        "slot": "2026-11-24T10:00:00Z",
        "rows": new.rows,
        "files": [file.name for file in new.files],
    }
    assert (found[str(old.run_id)]["title"], found[str(old.run_id)]["slot"]) == (None, None)
    # Delivered again, in another version too, while the example is down: the only news is the later run.
    await publish(cluster, new, old, later)
    async with example(cluster, tmp_path) as process:
        (line,) = await printed(process, 1)
    assert line["run"] == str(later.run_id)
    assert process.returncode == 0


async def test_the_example_stops_at_an_unknown_version_and_misses_nothing(cluster: Cluster, tmp_path: Path) -> None:
    event = success()
    record = codec.encode(event, source="exporter", at=AT)
    headers = tuple(
        (name, b"sluice.run.succeeded.v3" if name == "ce_type" else value) for name, value in record.headers
    )
    async with Producer.open(cluster.open, name="test") as producer:
        await producer.send([replace(record, headers=headers)])
    for _ in range(2):
        async with example(cluster, tmp_path) as process:
            assert process.stderr is not None
            error = await asyncio.wait_for(process.stderr.read(), LIMIT)
            # It has ended by itself; a signal now would hide its status.
            await asyncio.wait_for(process.wait(), LIMIT)
        assert process.returncode == 1
        assert b"sluice.run.succeeded.v3 is not known here: upgrade this program" in error


async def test_the_access_of_the_guide_is_to_read_public_topics_with_groups_of_one_s_own(cluster: Cluster) -> None:
    for topic in TOPICS:
        if topic.is_public:
            await read(cluster, topic.name, GROUP)
        else:
            with pytest.raises(TopicAuthorizationFailedError):
                await read(cluster, topic.name, GROUP)
    with pytest.raises(GroupAuthorizationFailedError):
        await read(cluster, "sluice.runs", "sluice.job-api")
    producer = AIOKafkaProducer(**cluster.outside.client_options())
    await producer.start()
    try:
        with pytest.raises(TopicAuthorizationFailedError):
            await producer.send_and_wait("sluice.runs", b"{}")
    finally:
        await producer.stop()


async def read(cluster: Cluster, topic: str, group: str) -> None:
    """Join a group and learn a topic's offsets. Raises aiokafka's error when that is forbidden."""
    consumer = AIOKafkaConsumer(topic, **cluster.outside.client_options(), group_id=group, enable_auto_commit=False)
    try:
        await consumer.start()
        await asyncio.wait_for(consumer.getmany(timeout_ms=100), LIMIT)
    finally:
        await consumer.stop()
