"""A small sample in a real PostgreSQL, and the rows that should be in it."""

from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg
import pytest

from deploy.sample.load import load
from deploy.sample.rows import Batch, Sample
from tests.support.servers import Databases

INTERACTIONS = 2_500

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture(scope="module")
def expected() -> Batch:
    """Return the rows of the generator."""
    sample = Sample(seed=1, interactions=INTERACTIONS, tenants=2)
    first, second = sample.batch(0), sample.batch(1)
    return Batch(
        first.interactions + second.interactions,
        first.contacts + second.contacts,
        first.attachments + second.attachments,
    )


@pytest.fixture(scope="module")
async def loaded(postgres: Databases) -> str:
    """Return the administrator's address of a database with the sample; tests only read it."""
    dsn = await postgres.create()
    await load(dsn, interactions=INTERACTIONS)
    return dsn


@pytest.fixture
async def reader(loaded: str) -> AsyncIterator[Connection]:
    """Return a connection with the rights of sluice_reader, whose password must not be changed on a shared server."""
    connection = await asyncpg.connect(loaded, server_settings={"timezone": "UTC"})
    await connection.execute("SET SESSION AUTHORIZATION sluice_reader")
    yield connection
    await connection.close()
