"""Rows encoded for COPY: byte by byte as PostgreSQL's manual specifies, and read back by an independent reader."""

from collections.abc import Callable
from typing import Any

import pytest

from deploy.sample.copyformat import (
    Table,
    bigint,
    binary,
    boolean,
    hexadecimal,
    instant,
    integer,
    jsonb,
    smallint,
    text,
    texts,
)
from deploy.sample.rows import Sample
from deploy.sample.tables import CONVERSATION, CUSTOMER, FILE

HEADER = b"PGCOPY\n\xff\r\n\x00" + b"\x00\x00\x00\x00" + b"\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("write", "value", "expected"),
    [
        (text, "", "00000000"),
        (text, "aé😀\\\n", "00000009 61 c3a9 f09f9880 5c 0a"),
        (jsonb, '{"a":1}', "00000008 01 7b2261223a317d"),
        (binary, b"\x00\xff", "00000002 00ff"),
        (binary, b"", "00000000"),
        (hexadecimal, "00ff", "00000002 00ff"),
        (smallint, -1, "00000002 ffff"),
        (integer, -(2**31), "00000004 80000000"),
        (bigint, 2**63 - 1, "00000008 7fffffffffffffff"),
        (boolean, True, "00000001 01"),
        (boolean, False, "00000001 00"),
        (instant, 946_684_800_000_000, "00000008 0000000000000000"),
        (instant, 946_684_799_999_999, "00000008 ffffffffffffffff"),
        (texts, (), "0000000c 00000000 00000000 00000019"),
        (texts, ("é", ""), "0000001e 00000001 00000000 00000019 00000002 00000001 00000002 c3a9 00000000"),
    ],
)
def test_values_are_encoded_as_the_types_read_them(write: Callable[[Any], bytes], value: object, expected: str) -> None:
    assert write(value) == bytes.fromhex(expected)


def test_a_stream_has_header_rows_and_trailer() -> None:
    table = Table("s", "t", ("a", "b"), (text, integer))
    assert table.encode([]) == HEADER + b"\xff\xff"
    assert table.encode([("x", None), (None, 1)]) == (
        HEADER
        + bytes.fromhex("0002 00000001 78 ffffffff")
        + bytes.fromhex("0002 ffffffff 00000004 00000001")
        + b"\xff\xff"
    )


def test_a_row_of_another_width_is_rejected() -> None:
    with pytest.raises(ValueError, match="argument"):
        Table("s", "t", ("a", "b"), (text, integer)).encode([("x",)])


def test_every_row_of_the_sample_is_in_its_stream() -> None:
    batch = Sample(seed=3, interactions=500, tenants=2).batch(0)
    for table, rows in ((CONVERSATION, batch.interactions), (CUSTOMER, batch.contacts), (FILE, batch.attachments)):
        read = list(_rows(table.encode(rows)))
        assert len(read) == len(rows)
        for fields, row in zip(read, rows, strict=True):
            assert [field is None for field in fields] == [value is None for value in row]
            assert fields[0] == str(row[0]).encode()


def _rows(stream: bytes) -> list[list[bytes | None]]:
    assert stream.startswith(HEADER)
    rows: list[list[bytes | None]] = []
    position = len(HEADER)
    while (count := int.from_bytes(stream[position : position + 2], signed=True)) != -1:
        position += 2
        fields: list[bytes | None] = []
        for _ in range(count):
            length = int.from_bytes(stream[position : position + 4], signed=True)
            position += 4
            fields.append(None if length < 0 else stream[position : position + length])
            position += max(length, 0)
        rows.append(fields)
    assert position + 2 == len(stream)
    return rows
