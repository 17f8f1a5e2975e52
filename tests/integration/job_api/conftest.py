"""The job API over a real PostgreSQL, called through its ASGI application."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from job_api.app import create_web_app
from shared.lifecycle import Health
from shared.postgres import migrate, open_pool
from shared.provision import ProvisionSettings, provision
from tests.integration.job_api.world import StillClock, Tenant, World
from tests.support.servers import Databases

PASSWORD = "test-password"


@pytest.fixture(scope="session")
async def job_api_template(postgres: Databases) -> str:
    """Return the name of a template database with the job API's schema."""
    admin = await postgres.create()
    passwords = {f"{role}_password": PASSWORD for role in ("job_api", "scheduler", "exporter", "history")}
    await provision(ProvisionSettings(admin_dsn=admin, **passwords))
    name = admin.rpartition("/")[2]
    await migrate(postgres.dsn(name, role="job_api", password=PASSWORD), "job_api")
    return name


@pytest.fixture
async def dsn(postgres: Databases, job_api_template: str) -> str:
    """Return the DSN of a fresh database for the job API's own role."""
    admin = await postgres.create(template=job_api_template)
    name = admin.rpartition("/")[2]
    connection = await asyncpg.connect(admin)
    # A copied database keeps its roles' privileges, but not their settings, which are per database.
    await connection.execute(f'ALTER ROLE job_api IN DATABASE "{name}" SET search_path = job_api')
    await connection.close()
    return postgres.dsn(name, role="job_api", password=PASSWORD)


@pytest.fixture
async def world(dsn: str, postgres: Databases) -> AsyncIterator[World]:
    """Return the application over a fresh database."""
    clock = StillClock()
    admin = await asyncpg.connect(postgres.dsn(dsn.rpartition("/")[2]))
    async with open_pool(dsn, size=5, name="test") as pool:
        world = World(dsn, pool, admin, clock, create_web_app(pool, clock=clock, health=Health()))
        yield world
        await world.aclose()
    await admin.close()


@pytest.fixture
async def tenant(world: World) -> Tenant:
    """Return a tenant."""
    return await world.tenant()
