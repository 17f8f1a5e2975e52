"""The source's rules on a real PostgreSQL: snapshots, filters, errors."""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from exporter.errors import BadMapping, ExportError, SourceAccessRefused, SourceUnavailable
from exporter.source.queries import build_columns_query, build_records_query
from exporter.source.selection import KeyRange, SelectedWindow, Selection, WindowColumn
from exporter.source.snapshot import open_snapshot
from shared.events.values import FileKind
from shared.record_schemas import RECORD_TYPES
from tests.integration.stream.conftest import Export
from tests.integration.stream.history import BEFORE, ContactHistory, Row, parse_line
from tests.support.servers import Databases, MakePostgres
from tests.support.wait import eventually

INTERACTIONS = Selection("interaction", 1)
MANY = (
    "INSERT INTO interaction_table (id, tenant_id, text) "
    "SELECT i, 1, repeat('x', 1000) FROM generate_series(1, $1::int) i"
)
BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1"


async def read_ids(export: Export, selection: Selection) -> list[object]:
    return [parse_line(line)["id"] for line in await export.read_lines(selection)]


async def discard(data: bytes | bytearray) -> None:
    """Ignore the data."""


@pytest.mark.parametrize("column", [WindowColumn.START, WindowColumn.MODIFIED])
async def test_T1_a_window_is_half_open(history: ContactHistory, export: Export, column: WindowColumn) -> None:
    moments = {"a": -1, "b": 0, "c": 1, "d": 2}
    rows: list[Row] = [{"id": id_, column: BEFORE + timedelta(microseconds=late)} for id_, late in moments.items()]
    await history.add("interaction", *rows)
    start, end = BEFORE, BEFORE + timedelta(microseconds=2)

    async def read(window: SelectedWindow) -> list[object]:
        return await read_ids(export, Selection("interaction", 1, window=window))

    assert await read(SelectedWindow(column, start, end)) == ["b", "c"]
    assert await read(SelectedWindow(column, start)) == ["b", "c", "d"]
    assert await read(SelectedWindow(column, end=end)) == ["a", "b", "c"]
    assert await read(SelectedWindow(column)) == ["a", "b", "c", "d"]


async def test_T3_contacts_compare_their_own_dates(history: ContactHistory, export: Export) -> None:
    await history.add(
        "contact", {"id": "old", "created_date": BEFORE}, {"id": "new", "created_date": BEFORE + timedelta(1)}
    )
    window = SelectedWindow(WindowColumn.CREATED, BEFORE + timedelta(hours=1))
    assert await read_ids(export, Selection("contact", 1, window=window)) == ["new"]


async def test_J1_media_types_choose_interactions(history: ContactHistory, export: Export) -> None:
    rows: list[Row] = [{"id": name, "media_type_id": name} for name in ("chat", "email", "voice")]
    await history.add("interaction", *rows, {"id": "none"})
    assert await read_ids(export, Selection("interaction", 1, ("email", "chat"))) == ["chat", "email"]
    assert await read_ids(export, INTERACTIONS) == ["chat", "email", "none", "voice"]


INJECTIONS = [
    "' OR true --",
    "'); DROP TABLE interaction_table; --",
    "\\'); DROP TABLE interaction_table; --",
    "\\",
    "$1 $2 $$ $x$",
    "{email,chat}",
    '"email"',
    "NULL",
    "\n\r\t\x01",
    "%s {0}",
    "ü😀",
]


@pytest.mark.parametrize("injection", INJECTIONS)
async def test_E8_no_value_can_change_the_query(history: ContactHistory, export: Export, injection: str) -> None:
    await history.add(
        "interaction", {"id": "email", "media_type_id": "email"}, {"id": injection, "media_type_id": injection}
    )
    assert await read_ids(export, Selection("interaction", 1, (injection,))) == [injection]
    keys = KeyRange(injection, injection + "\x01")
    assert await read_ids(export, Selection("interaction", 1, keys=keys)) == [injection]
    assert len(await history.records("interaction")) == 2


async def test_R4_slices_of_the_keys_add_up(history: ContactHistory, export: Export) -> None:
    rows: list[Row] = [{"id": id_} for id_ in ("", "10", "9", "A", "Z", "a", "z", "ä", "😀")]
    await history.add("interaction", *rows)
    bounds = [None, "9", "Z", "b", "é", None]
    found: list[object] = []
    for first, before in pairwise(bounds):
        keys = KeyRange(first, before)
        found += await read_ids(export, Selection("interaction", 1, keys=keys))
    assert found == await read_ids(export, INTERACTIONS)
    assert len(found) == len(rows)


async def test_E6_all_connections_of_a_run_see_one_snapshot(history: ContactHistory, database: str) -> None:
    await history.connection.execute(MANY, 1000)
    async with open_snapshot(database) as snapshot:
        await history.connection.execute("UPDATE interaction_table SET tenant_id = 2")
        await history.connection.execute(MANY, 5)
        async with open_snapshot(database, join=await snapshot.export()) as other:
            assert await snapshot.count(INTERACTIONS) == await other.count(INTERACTIONS) == 1000
        async with open_snapshot(database) as later:
            assert await later.count(INTERACTIONS) == 5


async def test_E6_a_snapshot_begins_when_it_is_opened(history: ContactHistory, database: str) -> None:
    async with open_snapshot(database) as snapshot:
        await history.connection.execute(MANY, 10)
        assert await snapshot.count(INTERACTIONS) == 0


async def test_E5_the_reader_cannot_write(history: ContactHistory, database: str) -> None:
    async with open_snapshot(database) as snapshot:
        assert await snapshot._driver.fetchval("SHOW transaction_read_only") == "on"
        assert await snapshot._driver.fetchval("SHOW transaction_isolation") == "repeatable read"


async def test_J12_the_estimate_is_close_to_the_count(history: ContactHistory, database: str) -> None:
    await history.connection.execute(MANY, 20_000)
    await history.connection.execute("ANALYZE interaction_table")
    async with open_snapshot(database) as snapshot:
        estimate = await snapshot.estimate(INTERACTIONS)
        assert abs(estimate.rows - 20_000) < 1000
        assert 15_000_000 < estimate.bytes < 40_000_000
        for kind in RECORD_TYPES:
            await snapshot.estimate(Selection(kind, 1, keys=KeyRange("a", "b")))


async def test_R5_an_unreachable_source_is_a_transient_error(unused_tcp_port: int) -> None:
    with pytest.raises(SourceUnavailable) as failed:
        async with open_snapshot(f"postgresql://nobody:secret@127.0.0.1:{unused_tcp_port}/x"):
            pass
    assert failed.value.transient
    assert "secret" not in str(failed.value)


async def test_R5_a_lost_connection_is_a_transient_error(history: ContactHistory, database: str) -> None:
    await history.connection.execute(MANY, 20_000)

    async def cut_connection(data: bytes | bytearray) -> None:
        await history.connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'to be lost'"
        )

    with pytest.raises(SourceUnavailable):
        async with open_snapshot(database, application="to be lost") as snapshot:
            await snapshot.stream(build_records_query(INTERACTIONS), cut_connection)


async def test_R5_a_killed_server_is_a_transient_error(make_postgres: MakePostgres) -> None:
    server = make_postgres()
    dsn = server.start()
    async with open_snapshot(dsn) as snapshot:
        pass
    server.stop()
    with pytest.raises(SourceUnavailable):
        async with open_snapshot(dsn) as snapshot:
            await snapshot.export()


async def test_R5_an_unknown_role_is_refused_permanently(
    history: ContactHistory, database: str, postgres: Databases
) -> None:
    dsn = postgres.dsn(database.rpartition("/")[2].partition("?")[0], role="nobody_at_all", password="x")
    with pytest.raises(SourceAccessRefused) as refused:
        async with open_snapshot(dsn):
            pass
    assert not refused.value.transient


@pytest.mark.parametrize("dsn", ["nonsense", "mysql://me:secret@host/x", "postgresql://me:secret@host:port/x"])
async def test_R5_an_invalid_address_is_refused_permanently(dsn: str) -> None:
    with pytest.raises(SourceAccessRefused, match="is invalid") as refused:
        async with open_snapshot(dsn):
            pass
    assert "secret" not in str(refused.value)


async def test_R5_a_missing_database_is_refused_permanently(postgres: Databases) -> None:
    with pytest.raises(SourceAccessRefused):
        async with open_snapshot(postgres.dsn("no_such_database")):
            pass


async def count_rows(dsn: str, selection: Selection = INTERACTIONS) -> int:
    async with open_snapshot(dsn) as snapshot:
        await snapshot.stream(build_columns_query(selection), discard)
        return await snapshot.count(selection)


async def test_R5_a_reader_without_rights_is_refused_permanently(history: ContactHistory, reader_dsn: str) -> None:
    with pytest.raises(SourceAccessRefused, match="SELECT on the views"):
        await count_rows(reader_dsn)


async def test_E5_select_on_the_views_is_all_the_reader_needs(history: ContactHistory, reader_dsn: str) -> None:
    role = reader_dsn.partition("//")[2].partition(":")[0]
    await history.connection.execute(f"GRANT USAGE ON SCHEMA contact_history TO {role}")
    await history.connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA contact_history TO {role}")
    assert await count_rows(reader_dsn) == 0


VIEW = "contact_history.interaction"
BROKEN = {
    "no view": ([f"DROP VIEW {VIEW}"], f'lacks a view .*"{VIEW}"'),
    "no schema": (["DROP SCHEMA contact_history CASCADE"], "lacks a view"),
    "no column": (
        [f"DROP VIEW {VIEW}", f"CREATE VIEW {VIEW} AS SELECT id, tenant_id FROM interaction_table"],
        r"column v.status does not exist.* add NULL::int AS status to the SELECT of contact_history.interaction\.",
    ),
    "bad value": (
        [
            f"DROP VIEW {VIEW}",
            "INSERT INTO interaction_table (id, tenant_id, subject) VALUES ('a', 1, 'private text')",
            "ALTER TABLE interaction_table ALTER status TYPE text USING subject",
            f"CREATE VIEW {VIEW} AS SELECT * FROM interaction_table",
        ],
        "cannot be exported .*SQLSTATE 22P02",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
async def test_R5_a_bad_mapping_fails_permanently_and_is_named(
    history: ContactHistory, database: str, case: str
) -> None:
    statements, message = BROKEN[case]
    await history.connection.execute("; ".join(statements))
    with pytest.raises(BadMapping, match=message) as failed:
        await count_rows(database)
    assert not failed.value.transient
    assert "private" not in str(failed.value)


@pytest.mark.parametrize("kind", RECORD_TYPES)
async def test_R5_rows_without_an_id_fail_permanently_with_the_reason(
    history: ContactHistory, export: Export, kind: FileKind
) -> None:
    await history.add("interaction", {"id": "i"})
    if kind != "interaction":
        await history.add(kind, {"id": "x", "entity_id": "i"})
    await history.add(kind, {"entity_id": "i", "status": 7, "content": b"x"})
    with pytest.raises(BadMapping, match=f"{kind} rows whose id is NULL") as failed:
        await export.export_parts(Selection(kind, 1))
    assert not failed.value.transient


async def test_R6_a_failing_consumer_ends_the_copy_and_frees_the_backend(
    history: ContactHistory, database: str
) -> None:
    await history.connection.execute(MANY, 50_000)

    async def fail(data: bytes | bytearray) -> None:
        raise RuntimeError("the store is full")

    with pytest.raises(RuntimeError, match="the store is full"):
        async with open_snapshot(database, application="to be freed") as snapshot:
            await snapshot.stream(build_records_query(INTERACTIONS), fail)
    await eventually(lambda: is_disconnected(history, "to be freed"), timeout=5)


async def test_R6_cancelling_frees_the_backend(history: ContactHistory, database: str) -> None:
    await history.connection.execute(MANY, 50_000)
    reading = asyncio.Event()

    async def stall(data: bytes | bytearray) -> None:
        reading.set()
        await asyncio.Event().wait()

    async def run() -> None:
        async with open_snapshot(database, application="to be cancelled") as snapshot:
            await snapshot.stream(build_records_query(INTERACTIONS), stall)

    task = asyncio.create_task(run())
    await reading.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: is_disconnected(history, "to be cancelled"), timeout=5)


async def test_R6_cancelling_a_count_frees_the_backend(history: ContactHistory, database: str) -> None:
    slow = "CREATE OR REPLACE VIEW contact_history.contact AS SELECT c.* FROM contact_table c, pg_sleep(60)"
    await history.connection.execute(slow)

    async def run() -> None:
        async with open_snapshot(database, application="slow count") as snapshot:
            await snapshot.count(Selection("contact", 1))

    async def counting() -> bool:
        state = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'slow count' AND query LIKE '%count%'"
        return bool(await history.connection.fetchval(state))

    task = asyncio.create_task(run())
    await eventually(counting)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: is_disconnected(history, "slow count"), timeout=5)


async def is_disconnected(history: ContactHistory, application: str) -> bool:
    return not await history.connection.fetchval(BACKENDS, application)


async def test_R5_every_error_has_a_code_of_its_own() -> None:
    kinds = [SourceUnavailable, SourceAccessRefused, BadMapping]
    assert all(issubclass(kind, ExportError) for kind in kinds)
    assert len({kind.code for kind in kinds}) == len(kinds)
