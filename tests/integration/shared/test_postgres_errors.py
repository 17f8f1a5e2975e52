"""What the errors of a real PostgreSQL are taken for, row by row of the table, and that pools recover by themselves."""

import asyncio
import re
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from shared.postgres import Connection, Pool, PostgresUnavailable, connection, open_pool, transaction
from shared.postgres_errors import TABLE, find_row, is_content_error
from tests.support.servers import Databases

STATES = [(state, row) for row in TABLE for state in row.sqlstates]


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with open_pool(database, size=2, name="errors") as opened:
        async with connection(opened) as acquired:
            await acquired.execute("CREATE TABLE thing (id int PRIMARY KEY, size smallint CHECK (size < 100))")
            await acquired.execute("INSERT INTO thing VALUES (1, 1)")
        yield opened


@pytest.mark.parametrize(("state", "row"), STATES, ids=[state for state, _ in STATES])
async def test_each_sqlstate_of_the_table_is_recognised(state: str, row: object, pool: Pool) -> None:
    # A class stands for all its members; "000" is its general one.
    code = state if len(state) == 5 else f"{state}000"
    with pytest.raises((PostgresUnavailable, asyncpg.PostgresError)) as caught:
        async with transaction(pool) as database:
            await database.execute(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$")
    cause = caught.value.__cause__ or caught.value
    found = find_row(cause)
    assert found is row
    assert isinstance(caught.value, PostgresUnavailable) == (found is not None and found.verdict == "transient")


async def insert(database: Connection) -> None:
    await database.execute("INSERT INTO thing VALUES (2, 2)")


async def end_by_administrator(database: Connection) -> None:
    await database.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def idle_for_too_long(database: Connection) -> None:
    await database.execute("SET idle_in_transaction_session_timeout = 10")
    await database.execute("SELECT 1")
    ended = asyncio.Event()
    database.add_termination_listener(lambda _: ended.set())
    await asyncio.wait_for(ended.wait(), 30)
    await database.execute("SELECT 1")


async def take_too_long(database: Connection) -> None:
    await database.execute("SET LOCAL statement_timeout = 10")
    await database.execute("SELECT pg_sleep(30)")


async def lack_permission(database: Connection) -> None:
    await database.execute("SET LOCAL ROLE pg_monitor")
    await database.execute("SELECT * FROM thing")


async def give_a_value_that_does_not_fit(database: Connection) -> None:
    await database.execute("INSERT INTO thing VALUES (2, (SELECT 70000))")


async def give_a_value_that_the_driver_refuses(database: Connection) -> None:
    await database.execute("INSERT INTO thing VALUES (2, $1)", 70000)


async def break_a_check(database: Connection) -> None:
    await database.execute("INSERT INTO thing VALUES (2, 100)")


async def insert_twice(database: Connection) -> None:
    await database.execute("INSERT INTO thing VALUES (1, 1)")


@pytest.mark.parametrize(
    ("act", "verdict", "words"),
    [
        (end_by_administrator, "transient", "stops or starts|lost the connection|connection failed"),
        (idle_for_too_long, "transient", "idle transaction|lost the connection|connection failed"),
        (take_too_long, "transient", "took too long"),
        (lack_permission, "transient", "a permission is missing"),
        (give_a_value_that_does_not_fit, "content", ""),
        (give_a_value_that_the_driver_refuses, "content", ""),
        (break_a_check, "content", ""),
        (insert_twice, "unexpected", ""),
    ],
)
async def test_what_really_happens_is_taken_for_what_it_is(
    act: Callable[[Connection], Awaitable[None]], verdict: str, words: str, pool: Pool
) -> None:
    with pytest.raises((PostgresUnavailable, asyncpg.PostgresError, asyncpg.InterfaceError)) as caught:
        async with transaction(pool) as database:
            await act(database)
    if verdict == "transient":
        assert isinstance(caught.value, PostgresUnavailable)
        assert re.search(words, str(caught.value))
    else:
        assert is_content_error(caught.value) == (verdict == "content")
    async with transaction(pool) as database:
        assert await database.fetchval("SELECT count(*) FROM thing") == 1


async def test_a_pool_leaves_a_server_that_became_read_only(database: str, pool: Pool) -> None:
    name = urlsplit(database).path.lstrip("/")
    async with connection(pool) as acquired:
        await acquired.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await pool.expire_connections()
    with pytest.raises(PostgresUnavailable, match="the server is read-only: a standby"):
        async with transaction(pool) as acquired:
            await insert(acquired)
    async with connection(pool) as acquired:
        await acquired.execute("SET default_transaction_read_only = off")
        await acquired.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    with pytest.raises(PostgresUnavailable):
        async with transaction(pool) as acquired:
            await acquired.execute("SET TRANSACTION READ ONLY; INSERT INTO thing VALUES (2, 2)")
    async with transaction(pool) as acquired:
        await insert(acquired)


async def test_a_pool_forgets_statements_that_were_prepared_before_the_schema_changed(
    database: str, pool: Pool
) -> None:
    admin = await asyncpg.connect(database)
    try:
        async with transaction(pool) as acquired:
            assert await acquired.fetchval("SELECT size FROM thing WHERE id = $1", 1) == 1
        await admin.execute("ALTER TABLE thing ALTER COLUMN size TYPE numeric")
        with pytest.raises(PostgresUnavailable, match="prepared before the schema changed"):
            async with transaction(pool) as acquired:
                await acquired.fetchval("SELECT size FROM thing WHERE id = $1", 1)
        async with transaction(pool) as acquired:
            assert await acquired.fetchval("SELECT size FROM thing WHERE id = $1", 1) == 1
        await admin.execute("ALTER TABLE thing ALTER COLUMN id TYPE text")
        with pytest.raises(asyncpg.UndefinedFunctionError):
            async with transaction(pool) as acquired:
                await acquired.fetchval("SELECT size FROM thing WHERE id = $1", 1)
        async with transaction(pool) as acquired:
            assert await acquired.fetchval("SELECT size FROM thing WHERE id = $1", "1") == 1
    finally:
        await admin.close()


async def test_a_login_without_a_connection_left_waits(postgres: Databases, database: str) -> None:
    admin = await asyncpg.connect(database)
    name = urlsplit(database).path.lstrip("/")
    try:
        await admin.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'x' CONNECTION LIMIT 0")
        with pytest.raises(PostgresUnavailable, match="the server has no connection left"):
            async with open_pool(postgres.dsn(name, role=name, password="x"), size=1, name="errors"):
                pass
    finally:
        await admin.execute(f'DROP ROLE IF EXISTS "{name}"')
        await admin.close()


async def test_a_name_that_cannot_be_resolved_waits(database: str) -> None:
    with pytest.raises(PostgresUnavailable, match="the name service"):
        async with open_pool("postgresql://someone@database.invalid/x", size=1, name="errors"):
            pass


@contextmanager
def resetting_server() -> Iterator[int]:
    """Accept connections and cut each off after its first bytes, as a proxy does that breaks in the TLS handshake."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.recv(8)
            client.sendall(b"S")
            client.close()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


async def test_a_reset_within_the_tls_handshake_waits() -> None:
    with resetting_server() as port:
        address = urlunsplit(("postgresql", f"someone@127.0.0.1:{port}", "/x", "sslmode=require", ""))
        with pytest.raises(PostgresUnavailable):
            async with open_pool(address, size=1, name="errors"):
                pass


async def test_a_full_disk_is_not_a_fault_of_the_message(pool: Pool) -> None:
    async with connection(pool) as acquired:
        await acquired.execute(
            """CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$"""
        )
        await acquired.execute("CREATE TRIGGER fill BEFORE INSERT ON thing EXECUTE FUNCTION fill()")
    with pytest.raises(PostgresUnavailable, match="the server's disk is full"):
        async with transaction(pool) as acquired:
            await insert(acquired)
    async with connection(pool) as acquired:
        await acquired.execute("DROP TRIGGER fill ON thing")
        await insert(acquired)
