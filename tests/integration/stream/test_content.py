"""Every value is exported correctly: exports of a real database, compared with a separate, simple reader of it."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.package.packer import PackingOptions
from exporter.source.columns import map_record_keys
from exporter.source.queries import CONTENT_CHUNK, LARGE_CONTENT
from exporter.source.selection import Selection
from shared.events.values import FileKind
from shared.record_schemas import RECORD_TYPES
from tests.integration.stream.conftest import Export
from tests.integration.stream.history import VIEWS, ContactHistory, Row, parse_line
from tests.integration.stream.schemas import make_validator
from tests.unit.stream.officers import officer

INTERACTIONS = Selection("interaction", 1)
CONTACTS = Selection("contact", 1)
ATTACHMENTS = Selection("interaction-attachment", 1)

DIFFICULT_TEXTS = [
    "",
    " ",
    "\"quotes\" and 'apostrophes'",
    "back\\slash \\n \\\\ \\u0000 \\N \\.",
    "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "line\nline\r\nline\rtab\tend",
    "\u2028\u2029\ufeff\ufffe\uffff",
    "😀👩‍👩‍👧‍👦 𝄞 \U0010ffff",
    "עברית العربية 日本語 ไทย é",
    "</script><!-- -->&amp; {{7*7}} ${x} %s %d",
    "null",
    "PGCOPY\n\x7f\r\n",
    "x" * 3_000_000 + "ü",
]
DIFFICULT_JSON = [
    "null",
    "{}",
    "[]",
    '"text"',
    "1e400",
    "-0.00010",
    "123456789012345678901234567890.5",
    json.dumps({text[:50]: [text, {"deep": [text]}] for text in DIFFICULT_TEXTS[:-1]}),
    "[" * 200 + "]" * 200,
]
DIFFICULT_ROWS: list[Row] = [
    *({"id": f"text-{number}", "text": text, "subject": text} for number, text in enumerate(DIFFICULT_TEXTS)),
    *({"id": f"json-{number}", "all_attributes": value} for number, value in enumerate(DIFFICULT_JSON)),
    *({"id": f"id {text}"} for text in DIFFICULT_TEXTS[:-1]),
    {"id": "max", "status": 2**31 - 1, "owner_id": -(2**31), "can_be_parent": True, "is_spam": False},
    {"id": "end", "end_date": datetime(9999, 12, 30, 23, 59, 59, 999_999, tzinfo=UTC)},
    {"id": "offset", "end_date": datetime.fromisoformat("2026-03-29T02:30:00.000001-11:30")},
    {"id": "empty"},
]


@pytest.mark.parametrize("command", ["cms", "smime"])
async def test_E7_difficult_values_are_exported_correctly(
    history: ContactHistory, export: Export, command: str
) -> None:
    await history.add("interaction", *DIFFICULT_ROWS)
    export.command = command
    lines = await export.read_lines(INTERACTIONS)
    assert [parse_line(line) for line in lines] == await history.records("interaction")
    assert len(lines) == len(DIFFICULT_ROWS)


async def test_E7_difficult_values_are_exported_correctly_with_gcm_and_split(
    history: ContactHistory, export: Export
) -> None:
    await history.add("interaction", *DIFFICULT_ROWS)
    options = PackingOptions(recipients=[officer().recipient], split_size=5000, cipher="aes-256-gcm")
    lines = await export.read_lines(INTERACTIONS, options)
    assert [parse_line(line) for line in lines] == await history.records("interaction")


text_value = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
instant_value = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001
int_value = st.integers(-(2**31), 2**31 - 1)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text_value,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text_value, inner, max_size=3),
    max_leaves=6,
)
PER_TYPE = {
    "text": text_value,
    "int": int_value,
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "timestamptz": instant_value,
    "bool": st.booleans(),
    "jsonb": json_value.map(json.dumps),
    "bytea": st.binary(max_size=200),
}
LISTS = dict.fromkeys(("email_addresses", "phone_numbers"), st.lists(text_value, max_size=3).map(json.dumps))
FIXED = {"id", "tenant_id", "entity_id"}


def generate_rows(kind: FileKind) -> st.SearchStrategy[list[Row]]:
    columns = {name: exported_as for name, exported_as in VIEWS[kind][1].items() if name not in FIXED}
    values = {name: st.none() | LISTS.get(name, PER_TYPE[exported_as]) for name, exported_as in columns.items()}
    row = st.fixed_dictionaries({"id": text_value, "entity_id": st.just("i")}, optional=values)
    return st.lists(row, max_size=4, unique_by=lambda row: row["id"])


THOROUGH = settings(
    max_examples=60,
    deadline=None,
    # The tables are cleared for each example.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.mark.parametrize("kind", RECORD_TYPES)
@THOROUGH
@given(data=st.data())
async def test_E7_any_value_of_any_column_is_exported_correctly(
    history: ContactHistory, export: Export, kind: FileKind, data: st.DataObject
) -> None:
    rows = data.draw(generate_rows(kind))
    export.command = data.draw(st.sampled_from(["cms", "smime"]))
    await history.clear()
    await history.add(kind, *rows)
    if kind == "interaction-attachment":
        await history.add("interaction", {"id": "i"})
    lines = await export.read_lines(Selection(kind, 1))
    assert [parse_line(line) for line in lines] == await history.records(kind)
    assert len(lines) == len(rows)
    validator = make_validator(kind)
    for line in lines:
        validator.validate(json.loads(line))


async def test_E1_keys_nulls_and_instants_follow_the_rule(history: ContactHistory, export: Export) -> None:
    await history.add(
        "contact",
        {
            "id": "c1",
            "created_date": datetime(2026, 11, 24, 10, 0, 0, 120_000, tzinfo=UTC),
            "modified_date": datetime(2026, 11, 24, 12, 0, 0, 1, tzinfo=UTC),
            "first_name": "Zoë",
            "email_addresses": '["a@example.org", "b@example.org"]',
        },
    )
    [line] = await export.read_lines(CONTACTS)
    assert line.decode() == (
        '{"id":"c1","tenantId":1,"createdDate":"2026-11-24T10:00:00.12+00:00",'
        '"modifiedDate":"2026-11-24T12:00:00.000001+00:00","firstName":"Zoë","lastName":null,"customerId":null,'
        '"emailAddresses":["a@example.org", "b@example.org"],"phoneNumbers":null,"attributes":null}'
    )


async def test_E1_two_exports_of_the_same_data_are_the_same_bytes(history: ContactHistory, export: Export) -> None:
    rows: list[Row] = [{"id": id_, "text": id_ * 50} for id_ in ("b", "a", "B", "ä", "10", "9", "", "a b", "_", "Z")]
    await history.add("interaction", *rows)
    first = await export.read_lines(INTERACTIONS)
    assert first == await export.read_lines(INTERACTIONS)
    ids = [str(parse_line(line)["id"]) for line in first]
    assert ids == sorted(ids, key=str.encode)


@pytest.mark.parametrize("kind", RECORD_TYPES)
async def test_E7_an_empty_result_is_an_empty_file(history: ContactHistory, export: Export, kind: FileKind) -> None:
    [part] = await export.export_parts(Selection(kind, 1))
    assert (part.rows, part.bytes_raw) == (0, 0)
    assert part.name.startswith(f"{kind.title()}-job-2026")
    assert export.open_part(part) == b""


CONTENTS = {
    "none": None,
    "empty": b"",
    "one": b"\0",
    "two": b"\xff\xfe",
    "all": bytes(range(256)) * 40,
    "just small": bytes(LARGE_CONTENT),
    "just large": b"l" * (LARGE_CONTENT + 1),
    "larger": bytes(range(251)) * 31_337,
    "whole chunks": b"w" * (CONTENT_CHUNK * 7),
}


async def test_E3_attachments_of_every_size_are_exported_correctly(history: ContactHistory, export: Export) -> None:
    await history.add("interaction", {"id": "i"})
    rows: list[Row] = [
        {
            "id": name,
            "entity_id": "i",
            "name": f'"{name}"\n.pdf',
            "mime_type": "application/pdf",
            "size": 2**40,
            "content": data,
        }
        for name, data in CONTENTS.items()
    ]
    await history.add("interaction-attachment", *rows)
    lines = await export.read_lines(ATTACHMENTS)
    assert [list(parse_line(line)) for line in lines] == [list(map_record_keys("interaction-attachment"))] * len(
        CONTENTS
    )
    assert [parse_line(line) for line in lines] == await history.records("interaction-attachment")


async def test_E3_only_attachments_of_exported_interactions_are_exported(
    history: ContactHistory, export: Export
) -> None:
    await history.add(
        "interaction",
        {"id": "mail", "media_type_id": "email"},
        {"id": "chat", "media_type_id": "chat"},
        {"id": "theirs", "media_type_id": "email", "tenant_id": 2},
    )
    await history.add(
        "interaction-attachment",
        {"id": "1", "entity_id": "mail"},
        {"id": "2", "entity_id": "chat"},
        {"id": "3", "entity_id": "theirs"},
        {"id": "4", "entity_id": "mail", "tenant_id": 2},
        {"id": "5", "entity_id": "nobody"},
        {"id": "6", "entity_id": "mail"},
    )
    lines = await export.read_lines(Selection("interaction-attachment", 1, ("email",)))
    assert [parse_line(line)["id"] for line in lines] == ["1", "6"]


@pytest.mark.parametrize("kind", RECORD_TYPES)
async def test_E8_another_tenants_rows_are_never_read(history: ContactHistory, export: Export, kind: FileKind) -> None:
    await history.add(
        "interaction", {"id": "i"}, {"id": "theirs", "tenant_id": 2}, {"id": "without tenant", "tenant_id": None}
    )
    if kind != "interaction":
        await history.add(kind, {"id": "x", "entity_id": "i"}, {"id": "y", "entity_id": "theirs", "tenant_id": 2})
    expected = {1: 1, 2: 1, 3: 0}
    for tenant, rows in expected.items():
        lines = await export.read_lines(Selection(kind, tenant))
        assert len(lines) == rows
        assert all(parse_line(line).get("tenantId", tenant) == tenant for line in lines)


async def test_E7_a_text_of_100_mb_is_exported_whole(history: ContactHistory, export: Export) -> None:
    large = "repeat(E'0123456789\\nabcdefgh\"', 5000000)"
    await history.connection.execute(
        f"INSERT INTO interaction_table (id, tenant_id, text) VALUES ('large', 1, {large})"
    )
    [part] = await export.export_parts(INTERACTIONS)
    assert part.bytes_raw > 100_000_000
    found = parse_line(export.open_part(part))["text"]
    assert found == '0123456789\nabcdefgh"' * 5_000_000
