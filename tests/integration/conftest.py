"""Fixtures of tests with real Kafka and PostgreSQL."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DeleteGroupsRequest

from deploy.local.kafka import Kafka
from deploy.local.reaper import Reaper
from tests.support.servers import Databases
from tests.support.system import System
from tests.support.wait import eventually


@pytest.fixture(scope="session")
def local_broker(reaper: Reaper, servers_folder: Path) -> Iterator[Kafka]:
    """Run a Kafka for the modules of one worker, one after another."""
    server = Kafka(servers_folder / "kafka-own", reaper)
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def own_broker(local_broker: Kafka) -> Kafka:
    """Return a Kafka for one test module alone: services use topics with fixed names, which must not be shared.

    It is the broker of the modules before, without their topics. It is a new one where that one does not answer, or
    where processes that were killed are still members of groups, which would delay the next ones.
    """
    if local_broker.process is None:
        local_broker.start()
    elif not await empty_broker(local_broker.bootstrap):
        local_broker.stop()
        shutil.rmtree(local_broker.folder)
        local_broker.start()
    return local_broker


async def empty_broker(bootstrap: str) -> bool:
    """Delete all groups and topics; return whether that was possible."""
    try:
        if not await delete_groups(bootstrap):
            return False
        await delete_topics(bootstrap)
    except KafkaError:
        return False
    return True


async def delete_groups(bootstrap: str) -> bool:
    """Delete all consumer groups; return False when one still has members."""
    async with open_admin(bootstrap) as admin:
        groups = [name for name, _ in await admin.list_consumer_groups()]
        answer = await admin._send_request(DeleteGroupsRequest(groups))
    return all(code == 0 for _, code in answer.results)


async def delete_topics(bootstrap: str) -> None:
    """Delete all topics, and wait until they are gone."""

    async def are_gone() -> bool:
        async with open_admin(bootstrap) as admin:
            topics = [name for name in await admin.list_topics() if not name.startswith("__")]
            if topics:
                await admin.delete_topics(topics)
            return not topics

    await eventually(are_gone)


@asynccontextmanager
async def open_admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """Open an administrator's client of a broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@pytest.fixture(scope="module")
def own_kafka(own_broker: Kafka) -> str:
    """Return the address of the module's Kafka."""
    return own_broker.bootstrap


@pytest.fixture(scope="module")
async def system(
    own_kafka: str, postgres: Databases, reaper: Reaper, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """Return a system for one test module: database and topics exist, processes are started by the tests."""
    made = await System.prepare(tmp_path_factory.mktemp("logs"), own_kafka, postgres, reaper)
    yield made
    made.stop()
