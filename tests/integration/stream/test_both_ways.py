"""The records that are made here are, to the byte, those that the source's own server makes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.package.packer import Packing
from exporter.source.copy_reader import CopyText
from exporter.source.queries import columns_query, exported_columns, records_query
from exporter.source.selection import RecordKind, Selection
from exporter.source.snapshot import Snapshot, open_snapshot
from exporter.source.transcoder import LargeRecord, Transcoder
from tests.integration.stream.conftest import Export
from tests.integration.stream.history import History
from tests.integration.stream.test_content import NASTY_ROWS, THOROUGH, rows_of
from tests.support.native import native
from tests.unit.stream.officers import officer

KINDS = [RecordKind.INTERACTION, RecordKind.CONTACT]
CHARACTERS = (
    "INSERT INTO interaction_table (id, tenant_id, text, subject) "
    "SELECT 'code ' || i, 1, repeat(chr(i), i % 20) || 'a' || chr(i), repeat('x', i % 17) || chr(i) || repeat('y', 20) "
    "FROM generate_series(1, 70000) i WHERE i NOT BETWEEN 55296 AND 57343"
)
NUMBERS = (
    "INSERT INTO interaction_table (id, tenant_id, status, owner_id) SELECT 'power ' || i, 1, "
    "(2::numeric ^ i - i % 2)::int, (- 10 ^ (i % 10))::int FROM generate_series(0, 30) i"
)
# Ends of the calendar and of years of four digits, years before Christ, every kind of fraction, and many in between.
NAMED = (
    "INSERT INTO contact_table (id, tenant_id, created_date) SELECT 'named ' || at, 1, at::timestamptz FROM unnest("
    "'{infinity, -infinity, 4713-01-01 BC, 4714-11-24 BC, 0001-12-31 23:59:59.999999 BC, 0001-01-01, 0099-02-28, "
    "1582-10-10, 1969-12-31 23:59:59.5, 1999-12-31 23:59:59.999999, 2000-01-01, 2000-02-29, 2100-02-28 23:00, "
    "9999-12-31 23:59:59.999999, 10000-01-01, 99999-06-15 12:34:56.7, 294276-12-31 23:59:59.999999}'::text[]) at"
)
STEPS = (
    "INSERT INTO contact_table (id, tenant_id, created_date, modified_date) SELECT 'step ' || i, 1, "
    "'4714-11-24 00:00:00+00 BC'::timestamptz + i * interval '10 years 37 days 5 hours 7.000013 seconds', "
    "'1970-01-01'::timestamptz + i * interval '1 day 1 hour' + (10 ^ (i % 7))::int * interval '1 microsecond' "
    "FROM generate_series(0, 25000) i"
)


async def by_server(snapshot: Snapshot, selection: Selection) -> list[bytes]:
    found: list[bytes] = []
    reader = CopyText()

    async def take(data: bytes | bytearray) -> None:
        found.extend(bytes(record) + b"\n" for record in reader.feed(data))

    await snapshot.stream(records_query(selection), take)
    reader.finish()
    return found


async def made_here(snapshot: Snapshot, selection: Selection, *, room: int) -> list[bytes]:
    found: list[bytes] = []
    transcoder = Transcoder(native(), exported_columns(selection.kind), room=room)

    async def take(data: bytes | bytearray) -> None:
        for made in transcoder.feed(data):
            if isinstance(made, LargeRecord):
                found.append(b"".join(made.pieces))
            else:
                found.extend(bytes(made.text).splitlines(keepends=True))

    await snapshot.stream(columns_query(selection), take)
    for lines in transcoder.end():
        found.extend(bytes(lines.text).splitlines(keepends=True))
    return found


async def are_the_same(database: str, kind: RecordKind, *, room: int) -> int:
    """Compare both ways over the same snapshot, and return how many records there were."""
    selection = Selection(kind, 1)
    async with open_snapshot(database) as snapshot:
        server = await by_server(snapshot, selection)
        here = await made_here(snapshot, selection, room=room)
    assert [pair for pair in zip(server, here, strict=True) if pair[0] != pair[1]] == []
    return len(server)


@pytest.mark.parametrize("room", [2_000, 384 * 1024])
async def test_E7_nasty_values_are_the_same_bytes(history: History, database: str, room: int) -> None:
    await history.add(RecordKind.INTERACTION, *NASTY_ROWS)
    assert await are_the_same(database, RecordKind.INTERACTION, room=room) == len(NASTY_ROWS)


async def test_E7_every_character_and_number_is_the_same_bytes(history: History, database: str) -> None:
    await history.connection.execute(CHARACTERS)
    await history.connection.execute(NUMBERS)
    assert await are_the_same(database, RecordKind.INTERACTION, room=100_000) == 70_000 - 2_048 + 31


async def test_E1_instants_of_the_whole_calendar_are_the_same_bytes(history: History, database: str) -> None:
    await history.connection.execute("SET timezone = 'UTC'")
    await history.connection.execute(NAMED)
    await history.connection.execute(STEPS)
    assert await are_the_same(database, RecordKind.CONTACT, room=100_000) == 17 + 25_001


@pytest.mark.parametrize("kind", KINDS)
@THOROUGH
@given(data=st.data())
async def test_E7_any_value_of_any_column_is_the_same_bytes(
    history: History, database: str, kind: RecordKind, data: st.DataObject
) -> None:
    rows = data.draw(rows_of(kind))
    await history.clear()
    await history.add(kind, *rows)
    assert await are_the_same(database, kind, room=data.draw(st.integers(1_000, 5_000))) == len(rows)


@pytest.mark.parametrize("split_size", [None, 3_000])
@pytest.mark.parametrize("kind", KINDS)
async def test_E1_files_are_the_same_either_way(
    history: History, export: Export, kind: RecordKind, split_size: int | None
) -> None:
    columns = {"id", "first_name", "text", "all_attributes", "email_addresses"}
    rows = [{key: value for key, value in row.items() if key in columns} for row in NASTY_ROWS]
    await history.add(kind, *({**row, "first_name": row.get("text")} for row in rows))
    packing = Packing([officer().recipient], split_size=split_size)
    here = await export.parts(Selection(kind, 1), packing)
    contents = [export.opened(part) for part in here]
    export.library = None
    server = await export.parts(Selection(kind, 1), packing)
    assert [export.opened(part) for part in server] == contents
    facts = [(part.rows, part.bytes_raw, part.last_key) for part in here]
    assert [(part.rows, part.bytes_raw, part.last_key) for part in server] == facts
