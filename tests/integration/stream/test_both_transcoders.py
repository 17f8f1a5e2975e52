"""The native transcoder's records are, byte for byte, those of the source's own server."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.package.packer import PackingOptions
from exporter.source.columns import map_record_keys
from exporter.source.copy_reader import TextCopyReader
from exporter.source.queries import build_columns_query, build_records_query
from exporter.source.selection import Selection
from exporter.source.snapshot import Snapshot, open_snapshot
from exporter.source.transcoder import LargeRecord, Transcoder
from shared.events.values import FileKind
from tests.integration.stream.conftest import Export
from tests.integration.stream.history import ContactHistory
from tests.integration.stream.test_content import DIFFICULT_ROWS, THOROUGH, generate_rows
from tests.support.native import load_native
from tests.unit.stream.officers import officer

KINDS: list[FileKind] = ["interaction", "contact"]
CHARACTERS = (
    "INSERT INTO interaction_table (id, tenant_id, text, subject, all_attributes) "
    "SELECT 'code ' || i, 1, repeat(chr(i), i % 20) || 'a' || chr(i), repeat('x', i % 17) || chr(i) || repeat('y', 20)"
    ", jsonb_build_object(repeat('z', i % 17) || chr(i), repeat(chr(i), i % 20)) "
    "FROM generate_series(1, 70000) i WHERE i NOT BETWEEN 55296 AND 57343"
)
NUMBERS = (
    "INSERT INTO interaction_table (id, tenant_id, status, owner_id) SELECT 'power ' || i, 1, "
    "(2::numeric ^ i - i % 2)::int, (- 10 ^ (i % 10))::int FROM generate_series(0, 30) i"
)
# The ends of the calendar and of four-digit years, years BC, every kind of fraction, and many instants in between.
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


async def read_from_server(snapshot: Snapshot, selection: Selection) -> list[bytes]:
    found: list[bytes] = []
    reader = TextCopyReader()

    async def consume(data: bytes | bytearray) -> None:
        found.extend(bytes(record) + b"\n" for record in reader.feed(data))

    await snapshot.stream(build_records_query(selection), consume)
    reader.finish()
    return found


async def transcode(snapshot: Snapshot, selection: Selection, *, output_size: int) -> list[bytes]:
    found: list[bytes] = []
    transcoder = Transcoder(load_native(), map_record_keys(selection.kind), output_size=output_size)

    async def consume(data: bytes | bytearray) -> None:
        for records in transcoder.feed(data):
            if isinstance(records, LargeRecord):
                found.append(b"".join(records.pieces))
            else:
                found.extend(bytes(records.text).splitlines(keepends=True))

    await snapshot.stream(build_columns_query(selection), consume)
    for lines in transcoder.end():
        found.extend(bytes(lines.text).splitlines(keepends=True))
    return found


async def compare(database: str, kind: FileKind, *, output_size: int) -> int:
    """Compare both transcoders in the same snapshot, and return the number of records."""
    selection = Selection(kind, 1)
    async with open_snapshot(database) as snapshot:
        server = await read_from_server(snapshot, selection)
        native = await transcode(snapshot, selection, output_size=output_size)
    assert [pair for pair in zip(server, native, strict=True) if pair[0] != pair[1]] == []
    return len(server)


@pytest.mark.parametrize("output_size", [2_000, 384 * 1024])
async def test_E7_difficult_values_are_the_same_bytes(history: ContactHistory, database: str, output_size: int) -> None:
    await history.add("interaction", *DIFFICULT_ROWS)
    assert await compare(database, "interaction", output_size=output_size) == len(DIFFICULT_ROWS)


async def test_E7_every_character_and_number_is_the_same_bytes(history: ContactHistory, database: str) -> None:
    await history.connection.execute(CHARACTERS)
    await history.connection.execute(NUMBERS)
    assert await compare(database, "interaction", output_size=100_000) == 70_000 - 2_048 + 31


async def test_E1_instants_of_the_whole_calendar_are_the_same_bytes(history: ContactHistory, database: str) -> None:
    await history.connection.execute("SET timezone = 'UTC'")
    await history.connection.execute(NAMED)
    await history.connection.execute(STEPS)
    assert await compare(database, "contact", output_size=100_000) == 17 + 25_001


@pytest.mark.parametrize("kind", KINDS)
@THOROUGH
@given(data=st.data())
async def test_E7_any_value_of_any_column_is_the_same_bytes(
    history: ContactHistory, database: str, kind: FileKind, data: st.DataObject
) -> None:
    rows = data.draw(generate_rows(kind))
    await history.clear()
    await history.add(kind, *rows)
    assert await compare(database, kind, output_size=data.draw(st.integers(1_000, 5_000))) == len(rows)


@pytest.mark.parametrize("split_size", [None, 3_000])
@pytest.mark.parametrize("kind", KINDS)
async def test_E1_files_are_the_same_with_either_transcoder(
    history: ContactHistory, export: Export, kind: FileKind, split_size: int | None
) -> None:
    columns = {"id", "first_name", "text", "all_attributes", "email_addresses"}
    rows = [{key: value for key, value in row.items() if key in columns} for row in DIFFICULT_ROWS]
    await history.add(kind, *({**row, "first_name": row.get("text")} for row in rows))
    options = PackingOptions(recipients=[officer().recipient], split_size=split_size)
    native = await export.export_parts(Selection(kind, 1), options)
    contents = [export.open_part(part) for part in native]
    export.library = None
    server = await export.export_parts(Selection(kind, 1), options)
    assert [export.open_part(part) for part in server] == contents
    facts = [(part.rows, part.bytes_raw, part.last_key) for part in native]
    assert [(part.rows, part.bytes_raw, part.last_key) for part in server] == facts
