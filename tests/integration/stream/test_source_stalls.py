"""A source that vanishes without closing its connections ends a call; a long query and a slow store do not (R5)."""

import asyncio
import re
from collections.abc import Iterator
from datetime import timedelta

import asyncpg
import pytest

from exporter.errors import ExportError, SourceUnavailable
from exporter.source import connection as source_connection
from exporter.source.connection import open_source
from exporter.source.faults import TABLE, to_export_error, translate_errors
from exporter.source.queries import build_records_query
from exporter.source.selection import Selection
from exporter.source.snapshot import open_snapshot
from shared.limited_connection import LimitedConnection
from tests.integration.stream.history import ContactHistory
from tests.support.faulty_proxy import FaultyProxy, open_faulty_proxy
from tests.support.servers import Databases

INTERACTIONS = Selection("interaction", 1)
STALL = timedelta(seconds=1)
MANY = (
    "INSERT INTO interaction_table (id, tenant_id, text) SELECT 'i' || n, 1, repeat('x', 1000) "
    "FROM generate_series(1, 20000) n"
)
LIMIT = 30.0


@pytest.fixture
def proxy(postgres: Databases) -> Iterator[FaultyProxy]:
    with open_faulty_proxy(postgres.admin_dsn) as opened:
        yield opened


async def test_R5_a_count_on_a_source_that_has_vanished_ends(
    history: ContactHistory, database: str, proxy: FaultyProxy
) -> None:
    async def count() -> None:
        async with open_snapshot(proxy.redirect(database), stall=STALL) as snapshot:
            assert await snapshot.count(INTERACTIONS) == 0
            proxy.stall()
            await snapshot.count(INTERACTIONS)

    with pytest.raises(SourceUnavailable, match="has sent nothing for 1 s") as failed:
        await asyncio.wait_for(count(), LIMIT)
    assert failed.value.transient
    assert "SLUICE_EXPORTER_SOURCE_STALL" in str(failed.value)


async def test_R5_a_stream_from_a_source_that_has_vanished_ends(
    history: ContactHistory, database: str, proxy: FaultyProxy
) -> None:
    await history.connection.execute(MANY)
    received = 0

    async def consume(data: bytes | bytearray) -> None:
        nonlocal received
        received += len(data)
        proxy.stall()

    with pytest.raises(SourceUnavailable, match="has sent nothing"):
        async with open_snapshot(proxy.redirect(database), stall=STALL) as snapshot:
            await asyncio.wait_for(snapshot.stream(build_records_query(INTERACTIONS), consume), LIMIT)
    assert received


async def test_R5_connecting_to_a_source_that_has_vanished_ends(
    database: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_connection, "CONNECT_SECONDS", 0.5)
    proxy.stall()
    with pytest.raises(SourceUnavailable):
        async with asyncio.timeout(LIMIT), open_snapshot(proxy.redirect(database), stall=STALL):
            pass


async def test_R5_a_query_that_is_silent_for_long_but_at_work_goes_on(database: str) -> None:
    async with open_source(database, stall=STALL) as connection:
        assert await connection.watch(connection.driver.fetchval("SELECT 1 FROM pg_sleep(3)")) == 1
        assert isinstance(connection.driver, LimitedConnection)


async def test_R5_a_store_that_is_slow_to_take_the_records_is_no_stall_of_the_source(
    history: ContactHistory, database: str, proxy: FaultyProxy
) -> None:
    await history.connection.execute(MANY)
    received = bytearray()
    is_first = True

    async def consume(data: bytes | bytearray) -> None:
        nonlocal is_first
        if is_first:
            is_first = False
            await history.connection.execute("SELECT pg_sleep(2.5)")
        received.extend(data)

    async with open_snapshot(proxy.redirect(database), stall=STALL) as snapshot:
        await snapshot.stream(build_records_query(INTERACTIONS), consume)
    assert len(received) > 20_000 * 1000


async def execute(database: str, statement: str) -> None:
    async with open_source(database, stall=STALL) as connection:
        await connection.watch(connection.driver.execute(statement))


STATES = [(state, row.error) for row in TABLE for state in row.sqlstates]


@pytest.mark.parametrize(("state", "expected"), STATES, ids=[state for state, _ in STATES])
async def test_R5_each_row_of_the_table_of_source_faults(
    state: str, expected: type[ExportError], database: str
) -> None:
    code = state if len(state) == 5 else f"{state}000"
    statement = f"DO $$ BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = '{code}'; END $$"
    with pytest.raises(expected) as failed:
        await execute(database, statement)
    # Messages of missing relations name them; PostgreSQL's own contain nothing else.
    assert "secret" not in str(failed.value) or code in {"42P01", "3F000", "42703"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("57P01", "the server stops or starts"),
        ("57P02", "the server stops or starts"),
        ("57P03", "the server stops or starts"),
        ("57P04", "the database was dropped"),
        ("57014", "the statement was cancelled or took too long"),
        ("53300", "the server has no connection left"),
        ("53100", "the server's disk is full"),
        ("25P03", "the server ended an idle transaction"),
        ("25006", "the server is read-only: a standby"),
        ("08006", "the connection failed"),
        ("0A000", "a statement was prepared before the schema changed"),
        ("P0001", "it ended the query"),
    ],
)
def test_R5_other_errors_of_the_source_are_transient_and_say_what_they_mean(code: str, words: str) -> None:
    error = (
        asyncpg.InvalidCachedStatementError("secret")
        if code == "0A000"
        else asyncpg.PostgresError.new({"C": code, "M": "secret", "S": "ERROR"})
    )
    found = to_export_error(error)
    assert isinstance(found, SourceUnavailable)
    assert re.search(words, str(found))
    assert "secret" not in str(found)


@pytest.mark.parametrize("error", [ConnectionResetError("secret"), TimeoutError(), OSError("getaddrinfo: secret")])
def test_R5_errors_of_the_network_are_transient(error: Exception) -> None:
    with pytest.raises(SourceUnavailable) as failed, translate_errors():
        raise error
    assert failed.value.transient
    assert "secret" not in str(failed.value)


def test_R5_a_recovery_conflict_says_what_to_set_and_is_retried_with_patience() -> None:
    found = to_export_error(asyncpg.SerializationError("canceling statement due to conflict with recovery"))
    assert found.code == "source-recovery-conflict"
    assert found.transient
    assert found.patient
    for words in ("The standby cancelled the query", "hot_standby_feedback", "max_standby_streaming_delay", "primary"):
        assert words in str(found)
