"""Two connections at once give the same records in the same order, and fail as one does."""

import asyncio

import pytest

from exporter import recordstream
from exporter.copystream import CopyText
from exporter.export_errors import BadMapping, SourceUnavailable
from exporter.readahead import AHEAD, ReadAhead
from exporter.selection import KeyRange, RecordKind, Selection
from exporter.source import Snapshot, open_snapshot
from tests.integration.stream.conftest import Export
from tests.integration.stream.history import History, Row, parsed
from tests.integration.stream.test_content import NASTY_ROWS
from tests.support.wait import eventually

INTERACTIONS = Selection(RecordKind.INTERACTION, 1)
MANY = (
    "INSERT INTO interaction_table (id, tenant_id, text) "
    "SELECT md5(i::text), 1, repeat('x', $2::int) FROM generate_series(1, $1::int) i"
)
BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'ahead'"


async def read(connections: list[Snapshot], selection: Selection = INTERACTIONS, *, range_rows: int) -> list[bytes]:
    found: list[bytes] = []
    reader = CopyText()

    async def take(data: bytes) -> None:
        found.extend(map(bytes, reader.feed(data)))

    def end() -> None:
        nonlocal reader
        reader.finish()
        reader = CopyText()

    await ReadAhead(connections, selection, range_rows=range_rows).stream(take, end)
    return found


@pytest.mark.parametrize("range_rows", [1, 2, 7, 1000])
async def test_E1_reading_ahead_keeps_every_record_in_order(history: History, database: str, range_rows: int) -> None:
    rows: list[Row] = [row for row in NASTY_ROWS if len(str(row.get("text", ""))) < 1000]
    await history.add(RecordKind.INTERACTION, *rows, {"id": "theirs", "tenant_id": 2})
    async with open_snapshot(database) as first, first.beside() as second:
        found = await read([first, second], range_rows=range_rows)
    assert [parsed(line) for line in found] == await history.records(RecordKind.INTERACTION)


@pytest.mark.parametrize("count", [0, 1, 3, 4])
async def test_E7_reading_ahead_ends_where_the_records_end(history: History, database: str, count: int) -> None:
    await history.add(RecordKind.INTERACTION, *({"id": str(number)} for number in range(count)))
    async with open_snapshot(database) as first, first.beside() as second:
        assert len(await read([first, second], range_rows=2)) == count


async def test_E7_reading_ahead_gets_past_keys_that_many_records_have(history: History, database: str) -> None:
    await history.add(RecordKind.INTERACTION, *({"id": key} for key in "abbbbbbbbbcc"))
    async with open_snapshot(database) as first, first.beside() as second:
        found = await read([first, second], range_rows=2)
    assert [parsed(line)["id"] for line in found] == list("abbbbbbbbbcc")


async def test_R4_reading_ahead_stays_within_a_slice(history: History, database: str) -> None:
    await history.connection.execute(MANY, 1_000, 10)
    keys = KeyRange("2", "b", "3")
    async with open_snapshot(database) as first, first.beside() as second:
        selection = Selection(RecordKind.INTERACTION, 1, keys=keys)
        found = [str(parsed(line)["id"]) for line in await read([first, second], selection, range_rows=17)]
    everything = [str(record["id"]) for record in await history.records(RecordKind.INTERACTION)]
    assert found == [key for key in everything if "3" < key < "b"]


async def test_E6_reading_ahead_sees_one_snapshot(history: History, database: str) -> None:
    await history.connection.execute(MANY, 100, 10)
    async with open_snapshot(database) as first:
        await history.connection.execute("DELETE FROM interaction_table")
        async with first.beside() as second:
            assert len(await read([first, second], range_rows=7)) == 100


async def test_P8_a_slow_reader_holds_little(history: History, database: str) -> None:
    await history.connection.execute(MANY, 4_000, 20_000)
    reading = asyncio.Event()
    async with open_snapshot(database) as first, first.beside() as second:
        ahead = ReadAhead([first, second], INTERACTIONS, range_rows=100)

        async def stall(data: bytes) -> None:
            reading.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(ahead.stream(stall, lambda: None))
        await reading.wait()
        await eventually(lambda: ahead._held >= AHEAD)
        assert ahead._held < AHEAD + 2 * 1024 * 1024
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        first._connection.terminate()
        second._connection.terminate()


async def test_R5_a_lost_connection_is_a_transient_error(history: History, database: str) -> None:
    await history.connection.execute(MANY, 20_000, 1_000)

    async def lose(data: bytes) -> None:
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ahead'"
        await history.connection.execute(kill)

    async def run() -> None:
        async with open_snapshot(database, application="ahead") as first, first.beside() as second:
            await ReadAhead([first, second], INTERACTIONS).stream(lose, lambda: None)

    with pytest.raises(SourceUnavailable):
        await run()


async def test_R6_a_failing_consumer_comes_out_as_it_is_and_frees_the_backends(history: History, database: str) -> None:
    await history.connection.execute(MANY, 20_000, 1_000)

    async def fail(data: bytes) -> None:
        raise RuntimeError("the store is full")

    async def run() -> None:
        async with open_snapshot(database, application="ahead") as first, first.beside() as second:
            await ReadAhead([first, second], INTERACTIONS).stream(fail, lambda: None)

    with pytest.raises(RuntimeError, match="the store is full"):
        await run()

    async def are_gone() -> bool:
        return not await history.connection.fetchval(BACKENDS)

    await eventually(are_gone, timeout=5)


async def test_E1_a_large_export_reads_ahead_and_is_the_same(
    history: History, export: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    await history.connection.execute(MANY, 6_000, 100)
    await history.connection.execute('CREATE INDEX ON interaction_table (tenant_id, id COLLATE "C")')
    await history.connection.execute("ANALYZE interaction_table")
    one = await export.lines(INTERACTIONS)
    monkeypatch.setattr(recordstream, "WORTH_AHEAD", 1_000)
    assert await export.lines(INTERACTIONS) == one
    assert len(one) == 6_000
    await history.add(RecordKind.INTERACTION, {"subject": "no id"})
    with pytest.raises(BadMapping, match="whose id is NULL"):
        await export.lines(INTERACTIONS)
