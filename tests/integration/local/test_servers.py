"""The servers of the tests: they start empty, and recover after a crash with their data."""

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.support.servers import Databases, MakeKafka, MakePostgres


async def topics(bootstrap: str, *, create: str | None = None) -> list[str]:
    """List the topics, after creating one where its name is given."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        if create:
            await admin.create_topics([NewTopic(create, num_partitions=12, replication_factor=1)])
        return sorted(await admin.list_topics())
    finally:
        await admin.close()


async def test_the_shared_kafka_lists_topics_and_creates_none_automatically(kafka: str) -> None:
    assert "never-made" not in await topics(kafka)


async def test_each_new_database_is_empty_and_separate(postgres: Databases) -> None:
    first, second = await postgres.create(), await postgres.create()
    assert first != second
    connection = await asyncpg.connect(first)
    try:
        await connection.execute("CREATE TABLE here (x int)")
    finally:
        await connection.close()
    connection = await asyncpg.connect(second)
    try:
        assert await connection.fetchval("SELECT to_regclass('here')") is None
    finally:
        await connection.close()


async def test_kafka_restarts_after_a_crash_with_its_topics_and_address(make_kafka: MakeKafka) -> None:
    server = make_kafka()
    address = server.start()
    await topics(address, create="kept")
    server.kill()
    assert server.start() == address
    assert "kept" in await topics(address)


async def test_postgres_restarts_after_a_crash_with_its_rows_and_address(make_postgres: MakePostgres) -> None:
    server = make_postgres()
    address = server.start()
    connection = await asyncpg.connect(address)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS x")
    await connection.execute("CHECKPOINT")
    server.kill()
    assert server.start() == address
    connection = await asyncpg.connect(address)
    try:
        assert await connection.fetchval("SELECT x FROM kept") == 7
    finally:
        await connection.close()
