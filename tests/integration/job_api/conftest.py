"""The job API over a real PostgreSQL, called through its ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest

from job_api.app import create_web_app
from job_api.service.destinations import DeliveryAccess
from job_api.store.database import Pools
from shared.lifecycle import Health
from shared.postgres import migrate
from shared.provision import ProvisionSettings, provision
from shared.sealing import Sealer
from tests.integration.job_api.world import DELIVERY_KEYS, StillClock, Tenant, World
from tests.support.servers import PASSWORD, PASSWORDS, Databases

OTHER_OBJECTS = {"pro": "proc", "tg": "trigger", "nsp": "namespace"}


@pytest.fixture(scope="session")
async def job_api_template(postgres: Databases) -> str:
    """Return the name of a template database with the job API's schema."""
    admin = await postgres.create()
    await provision(ProvisionSettings(admin_dsn=admin, **PASSWORDS))
    name = admin.rpartition("/")[2]
    await migrate(postgres.owner_dsn(name, "job_api"), "job_api")
    return name


@dataclass
class ReusedDatabase:
    """A database that one test after another gets empty: ten times as fast as a new one for each."""

    postgres: Databases
    template: str
    objects: str = ""
    admin_dsn: str = ""

    async def empty(self) -> str:
        """Return the DSN of an empty database for the role job_api; a new one if a test has changed the schema."""
        if not self.admin_dsn or await self._list_objects() != self.objects:
            await self._create()
        tables = "SELECT string_agg(format('job_api.%I', tablename), ', ') FROM pg_tables WHERE schemaname = 'job_api'"
        async with self._connect() as connection:
            await connection.execute(f"TRUNCATE {await connection.fetchval(tables)} RESTART IDENTITY CASCADE")
        return self.postgres.dsn(self._name, role="job_api", password=PASSWORD)

    @property
    def _name(self) -> str:
        return self.admin_dsn.rpartition("/")[2]

    async def _create(self) -> None:
        self.admin_dsn = await self.postgres.copy(self.template)
        self.objects = await self._list_objects()

    async def _list_objects(self) -> str:
        """Return a checksum of everything in the schemas: tables, indexes, functions, triggers."""
        named = "SELECT oid, relname FROM pg_class WHERE relkind <> 't'"
        named += "".join(f" UNION ALL SELECT oid, {kind}name FROM pg_{table}" for kind, table in OTHER_OBJECTS.items())
        async with self._connect() as connection:
            query = f"SELECT md5(string_agg(format('%s %s', oid, relname), ',' ORDER BY oid)) FROM ({named}) AS found"
            return str(await connection.fetchval(query))

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            yield connection
        finally:
            await connection.close()


@pytest.fixture(scope="session")
def reused_database(postgres: Databases, job_api_template: str) -> ReusedDatabase:
    return ReusedDatabase(postgres, job_api_template)


@pytest.fixture
async def dsn(reused_database: ReusedDatabase) -> str:
    """Return the DSN of an empty database for the job API's own role."""
    return await reused_database.empty()


@pytest.fixture
async def world(dsn: str, postgres: Databases) -> AsyncIterator[World]:
    """Return the application over a fresh database."""
    clock = StillClock()
    name = dsn.rpartition("/")[2]
    admin = await asyncpg.connect(postgres.dsn(name))
    system = postgres.dsn(name, role="job_api_system", password=PASSWORD)
    async with Pools.open(dsn, system, size=5, name="test") as pools:
        delivery = DeliveryAccess(Sealer(DELIVERY_KEYS[1]))
        app = create_web_app(pools, clock=clock, health=Health(), delivery=delivery)
        world = World(dsn, pools, admin, clock, app)
        yield world
        await world.aclose()
    await admin.close()


@pytest.fixture
async def tenant(world: World) -> Tenant:
    """Return a tenant."""
    return await world.tenant()
