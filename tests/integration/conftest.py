"""Fixtures of tests on real Kafka and PostgreSQL."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from deploy.local.reaper import Reaper
from tests.support.servers import Databases
from tests.support.system import System


@pytest.fixture(scope="module")
def own_kafka(reaper: Reaper, servers_folder: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A Kafka for one module of tests: services follow topics of fixed names, which must not be others' too."""
    server = Kafka(servers_folder / f"kafka-{request.module.__name__.rpartition('.')[2]}", reaper)
    yield server.start()
    server.stop()


@pytest.fixture(scope="module")
async def system(
    own_kafka: str, postgres: Databases, reaper: Reaper, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[System]:
    """A system of one module of tests: database and topics are ready, processes are started by the tests."""
    made = await System.prepare(tmp_path_factory.mktemp("logs"), own_kafka, postgres, reaper, services=())
    yield made
    made.stop()
