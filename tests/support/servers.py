"""Kafka and PostgreSQL for tests: named in the environment, else in Docker, else local processes."""

import secrets
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.reaper import Reaper
from tests.support.containers import docker_answers, kafka_container, postgres_container

MakeKafka = Callable[[], Kafka]
MakePostgres = Callable[[], Postgres]


@dataclass
class Databases:
    """The tests' PostgreSQL server: its administrator's address, and fresh databases in it."""

    admin_dsn: str
    _made: list[str] = field(default_factory=list)

    async def fresh(self, *, template: str | None = None) -> str:
        """Make an empty database, or a copy of a template database, and return the administrator's address of it."""
        name = f"test_{secrets.token_hex(6)}"
        # FILE_COPY is quicker than the write-ahead log for the small databases of tests.
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template0"}" STRATEGY FILE_COPY')
        self._made.append(name)
        return self.dsn(name)

    def dsn(self, database: str, *, role: str | None = None, password: str | None = None) -> str:
        """Return the address of a database of this server, for the administrator or another role."""
        address = urlsplit(self.admin_dsn)
        login = address.netloc.rpartition("@")[0] if role is None else f"{role}:{password}"
        netloc = f"{login}@{address.netloc.rpartition('@')[2]}"
        return urlunsplit(address._replace(netloc=netloc, path=f"/{database}"))

    async def drop_all(self) -> None:
        """Remove every database that `fresh` made."""
        while self._made:
            await self._execute(f'DROP DATABASE IF EXISTS "{self._made.pop()}" WITH (FORCE)')

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def reaper() -> Iterator[Reaper]:
    """Stops every server that the tests started, even when the test run is killed."""
    with Reaper() as reaper:
        yield reaper


@pytest.fixture(scope="session")
def servers_folder(reaper: Reaper) -> Path:
    """Return a folder for servers' data that, unlike `tmp_path`, PostgreSQL can enter when root runs the tests."""
    return reaper.temporary_folder("sluice-test-")


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the address (host:port) of a Kafka that all tests share: use topics and groups of your own in it."""
    with ExitStack() as stack:
        given = environ.get("SLUICE_TEST_KAFKA") or contained(stack, kafka_container)
        if given is None:
            server = Kafka(*_place(request, "kafka"))
            stack.callback(server.stop)
            given = server.start()
        yield given


@pytest.fixture(scope="session")
async def postgres(request: pytest.FixtureRequest) -> AsyncIterator[Databases]:
    """Return a PostgreSQL server that all tests share: make a fresh database in it for each test."""
    with ExitStack() as stack:
        given = environ.get("SLUICE_TEST_POSTGRES") or contained(stack, postgres_container)
        if given is None:
            server = Postgres(*_place(request, "postgres"), durable=False)
            stack.callback(server.stop)
            given = server.start()
        databases = Databases(given)
        yield databases
        await databases.drop_all()


def contained(stack: ExitStack, container: Callable[[], AbstractContextManager[str]]) -> str | None:
    """Start a container and return the server's address; None when no Docker engine answers, or it cannot do it."""
    if not docker_answers():
        return None
    try:
        return stack.enter_context(container())
    except Exception as error:  # the engine may lack the image, the room or the right, each with an error of its own
        warnings.warn(f"Docker answers but gives no server, a local process is used: {error}", stacklevel=1)
        return None


def _place(request: pytest.FixtureRequest, name: str) -> tuple[Path, Reaper]:
    # Asked for by name only here, so that nothing is started when the server was given.
    folder: Path = request.getfixturevalue("servers_folder")
    return folder / name, request.getfixturevalue("reaper")


@pytest.fixture
async def database(postgres: Databases) -> str:
    """Return the administrator's address of an empty database for one test."""
    return await postgres.fresh()


@pytest.fixture
def make_kafka(reaper: Reaper, servers_folder: Path) -> Iterator[MakeKafka]:
    """Return a function that gives the test a Kafka of its own, to start, stop, kill and start again."""
    made: list[Kafka] = []

    def make() -> Kafka:
        made.append(Kafka(servers_folder / f"kafka-{secrets.token_hex(4)}", reaper))
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def make_postgres(reaper: Reaper, servers_folder: Path) -> Iterator[MakePostgres]:
    """Return a function that gives the test a PostgreSQL of its own, to start, stop, kill and start again."""
    made: list[Postgres] = []

    def make() -> Postgres:
        made.append(Postgres(servers_folder / f"postgres-{secrets.token_hex(4)}", reaper, durable=False))
        return made[-1]

    yield make
    for server in made:
        server.stop()
