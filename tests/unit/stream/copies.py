"""Rows as a binary COPY and as JSON Lines, both written in the simplest way: the reference for the transcoder."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from struct import pack

from hypothesis import strategies as st

from exporter.source.separators import escape_separators

Row = Sequence[object]
COLUMNS = {
    "id": "text",
    "aNumber": "int",
    "large": "bigint",
    "isIt": "bool",
    "attributes": "jsonb",
    "at": "timestamptz",
}
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

# Line separators, and characters that begin or end like them.
_special = st.sampled_from("\u0085\u2028\u2029\u0084\u2027\u202a\u2068\u00a8é‘")
_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | _special, max_size=80)
_instant = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda naive: naive.replace(tzinfo=UTC))  # noqa: DTZ001
VALUES: Mapping[str, st.SearchStrategy[object]] = {
    "text": _text,
    "int": st.integers(-(2**31), 2**31 - 1),
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "bool": st.booleans(),
    "jsonb": st.dictionaries(_text, st.integers() | _text, max_size=3).map(
        lambda value: json.dumps(value, ensure_ascii=False)
    ),
    "timestamptz": _instant,
}
rows = st.lists(st.tuples(*(st.none() | VALUES[column] for column in COLUMNS.values())), max_size=6)


def make_copy(rows: Sequence[Row], columns: Mapping[str, str] = COLUMNS) -> bytes:
    """Return rows as PostgreSQL sends them."""
    types = list(columns.values())
    lines = [pack(">h", len(row)) + b"".join(map(make_field, row, types)) for row in rows]
    return HEADER + b"".join(lines) + TRAILER


def make_field(value: object, kind: str) -> bytes:
    if value is None:
        return pack(">i", -1)
    binary = _to_binary(value, kind)
    return pack(">i", len(binary)) + binary


def _to_binary(value: object, kind: str) -> bytes:
    match value:
        case bool():
            return pack(">?", value)
        case int():
            return pack(">i" if kind == "int" else ">q", value)
        case datetime():
            return pack(">q", (value - EPOCH) // timedelta(microseconds=1))
        case _:
            return (b"\x01" if kind == "jsonb" else b"") + str(value).encode()


def make_line(row: Row, columns: Mapping[str, str] = COLUMNS) -> bytes:
    """Return a row as PostgreSQL's row_to_json writes it, with line separators escaped, and a newline."""
    pairs = zip(columns.items(), row, strict=True)
    members = (f'"{key}":{_to_json(value, kind)}' for (key, kind), value in pairs)
    return escape_separators(f"{{{','.join(members)}}}\n".encode())


def _to_json(value: object, kind: str) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case datetime():
            whole, point, fraction = value.replace(tzinfo=None).isoformat().partition(".")
            return f'"{whole}{point}{fraction.rstrip("0")}+00:00"'
        case str() if kind == "text":
            short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
            escapes = {code: f"\\u{code:04x}" for code in range(32)} | short
            return f'"{value.translate(escapes)}"'
        case _:
            return str(value)


def split_at(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """Cut bytes at the given offsets."""
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]
