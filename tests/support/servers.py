"""Kafka and PostgreSQL for tests: those of the environment, else containers, else local processes."""

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
from shared.postgres import migrate
from shared.provision import OWNER, ROLES, SCHEMAS, ProvisionSettings, provision
from tests.support.containers import is_docker_available, kafka_container, postgres_container

PASSWORD = "test-password"
"""The password of each role."""
PASSWORDS = {f"{role}_password": PASSWORD for role in ("owner", *ROLES)}

MakeKafka = Callable[[], Kafka]
MakePostgres = Callable[[], Postgres]


@dataclass
class Databases:
    """The tests' PostgreSQL server: its administrator's DSN, and new databases in it."""

    admin_dsn: str
    _created: list[str] = field(default_factory=list)
    _migrated: str | None = None

    async def create(self, *, template: str | None = None) -> str:
        """Create an empty database, or a copy of a template database; return the administrator's DSN of it."""
        name = f"test_{secrets.token_hex(6)}"
        # FILE_COPY is faster than the write-ahead log for the small databases of tests.
        await self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template0"}" STRATEGY FILE_COPY')
        self._created.append(name)
        return self.dsn(name)

    async def create_provisioned(self) -> str:
        """Create a database with the roles and empty schemas of all services; return the administrator's DSN of it."""
        admin = await self.create()
        await provision(ProvisionSettings(admin_dsn=admin, **PASSWORDS))
        return admin

    async def create_migrated(self) -> str:
        """Create a database with the roles, schemas and tables of all services; return the administrator's DSN of it.

        The first call provisions and migrates a template, of which all databases are copies.
        """
        if self._migrated is None:
            name = (await self.create_provisioned()).rpartition("/")[2]
            for service in SCHEMAS:
                await migrate(self.owner_dsn(name, service), service)
            self._migrated = name
        return await self.copy(self._migrated)

    async def copy(self, template: str) -> str:
        """Create a copy of a provisioned database; return the administrator's DSN of it."""
        admin = await self.create(template=template)
        # A copied database keeps its roles' privileges, but not their settings, which are per database.
        name = admin.rpartition("/")[2]
        settings = (
            f'ALTER ROLE {role} IN DATABASE "{name}" SET search_path = {schema}'
            for schema, roles in SCHEMAS.items()
            for role in roles
        )
        await self._execute("; ".join(settings))
        return admin

    def owner_dsn(self, database: str, service: str) -> str:
        """Return the DSN of a database for the role that owns and migrates a service's schema."""
        return f"{self.dsn(database, role=OWNER, password=PASSWORD)}?search_path={service}"

    def dsn(self, database: str, *, role: str | None = None, password: str | None = None) -> str:
        """Return the DSN of a database of this server, for the administrator or another role."""
        address = urlsplit(self.admin_dsn)
        login = address.netloc.rpartition("@")[0] if role is None else f"{role}:{password}"
        netloc = f"{login}@{address.netloc.rpartition('@')[2]}"
        return urlunsplit(address._replace(netloc=netloc, path=f"/{database}"))

    async def drop_all(self) -> None:
        """Drop every database that `create` has created."""
        while self._created:
            await self._execute(f'DROP DATABASE IF EXISTS "{self._created.pop()}" WITH (FORCE)')

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def reaper() -> Iterator[Reaper]:
    """Stops every server that the tests start, even when the test run is killed."""
    with Reaper() as reaper:
        yield reaper


@pytest.fixture(scope="session")
def servers_folder(reaper: Reaper) -> Path:
    """Return a folder for servers' data that, unlike `tmp_path`, PostgreSQL can enter when tests run as root."""
    return reaper.temporary_folder("sluice-test-")


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[str]:
    """Return the address (host:port) of a Kafka that all tests share: use topics and groups of your own."""
    with ExitStack() as stack:
        given = environ.get("SLUICE_TEST_KAFKA") or start_container(stack, kafka_container)
        if given is None:
            server = Kafka(*_folder_and_reaper(request, "kafka"))
            stack.callback(server.stop)
            given = server.start()
        yield given


@pytest.fixture(scope="session")
async def postgres(request: pytest.FixtureRequest) -> AsyncIterator[Databases]:
    """Return a PostgreSQL server that all tests share: create a database in it for each test."""
    with ExitStack() as stack:
        given = environ.get("SLUICE_TEST_POSTGRES") or start_container(stack, postgres_container)
        if given is None:
            server = Postgres(*_folder_and_reaper(request, "postgres"), durable=False)
            stack.callback(server.stop)
            given = server.start()
        databases = Databases(given)
        yield databases
        await databases.drop_all()


def start_container(stack: ExitStack, container: Callable[[], AbstractContextManager[str]]) -> str | None:
    """Start a container and return the server's address; None without a Docker engine that can start it."""
    if not is_docker_available():
        return None
    try:
        return stack.enter_context(container())
    except Exception as error:  # missing image, space or rights each raise an error of their own
        warnings.warn(f"Docker cannot start the server, a local process is used: {error}", stacklevel=1)
        return None


def _folder_and_reaper(request: pytest.FixtureRequest, name: str) -> tuple[Path, Reaper]:
    # Requested by name, so that nothing is started when the server is given.
    folder: Path = request.getfixturevalue("servers_folder")
    return folder / name, request.getfixturevalue("reaper")


@pytest.fixture
async def database(postgres: Databases) -> str:
    """Return the administrator's DSN of an empty database for one test."""
    return await postgres.create()


@pytest.fixture
def make_kafka(reaper: Reaper, servers_folder: Path) -> Iterator[MakeKafka]:
    """Return a function that creates a Kafka for this test, to start, stop, kill and start again."""
    created: list[Kafka] = []

    def make() -> Kafka:
        created.append(Kafka(servers_folder / f"kafka-{secrets.token_hex(4)}", reaper))
        return created[-1]

    yield make
    for server in created:
        server.stop()


@pytest.fixture
def make_postgres(reaper: Reaper, servers_folder: Path) -> Iterator[MakePostgres]:
    """Return a function that creates a PostgreSQL for this test, to start, stop, kill and start again."""
    created: list[Postgres] = []

    def make() -> Postgres:
        created.append(Postgres(servers_folder / f"postgres-{secrets.token_hex(4)}", reaper, durable=False))
        return created[-1]

    yield make
    for server in created:
        server.stop()
