"""Fixtures of tests with real Kafka and PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from deploy.local.reaper import Reaper
from tests.support.servers import Databases
from tests.support.system import System


@pytest.fixture(scope="module")
def own_broker(reaper: Reaper, servers_folder: Path, request: pytest.FixtureRequest) -> Iterator[Kafka]:
    """Run a Kafka for one test module: services use topics with fixed names, which must not be shared."""
    server = Kafka(servers_folder / f"kafka-{request.module.__name__.rpartition('.')[2]}", reaper)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def own_kafka(own_broker: Kafka) -> str:
    """Return the address of the module's Kafka."""
    return own_broker.bootstrap


@pytest.fixture(scope="module")
async def system(
    own_kafka: str, postgres: Databases, reaper: Reaper, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """Return a system for one test module: database and topics exist, processes are started by the tests."""
    made = await System.prepare(tmp_path_factory.mktemp("logs"), own_kafka, postgres, reaper, services=())
    yield made
    made.stop()
