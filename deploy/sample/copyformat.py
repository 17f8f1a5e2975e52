"""Rows as PostgreSQL's COPY reads them fastest: binary, where nothing needs escaping.

Source: PostgreSQL manual, COPY, "Binary Format"; the forms of values are those of the types' `recv` functions.
"""

from collections.abc import Callable, Iterable, Sequence
from struct import Struct
from typing import Any, NamedTuple

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_TEXT_OID = 25
_POSTGRES_EPOCH = 946_684_800_000_000
"""2000-01-01T00:00:00Z, in microseconds since 1970."""

_length = Struct(">i").pack
_int2 = Struct(">ih").pack
_int4 = Struct(">ii").pack
_int8 = Struct(">iq").pack

Encoder = Callable[[Any], bytes]
"""Writes one value that is not None, with its length before it."""


def text(value: str) -> bytes:
    """Write text, varchar or json."""
    data = value.encode()
    return _length(len(data)) + data


def jsonb(value: str) -> bytes:
    """Write JSON text as jsonb."""
    data = value.encode()
    return _length(len(data) + 1) + b"\x01" + data


def hexadecimal(value: str) -> bytes:
    """Write bytes that are given in hexadecimal as bytea."""
    return binary(bytes.fromhex(value))


def binary(value: bytes) -> bytes:
    """Write bytea."""
    return _length(len(value)) + value


def smallint(value: int) -> bytes:
    """Write smallint."""
    return _int2(2, value)


def integer(value: int) -> bytes:
    """Write integer."""
    return _int4(4, value)


def bigint(value: int) -> bytes:
    """Write bigint."""
    return _int8(8, value)


def boolean(value: bool) -> bytes:
    """Write boolean."""
    return b"\x00\x00\x00\x01\x01" if value else b"\x00\x00\x00\x01\x00"


def instant(micros: int) -> bytes:
    """Write microseconds since 1970 as timestamptz, or as timestamp in UTC."""
    return _int8(8, micros - _POSTGRES_EPOCH)


def texts(values: Sequence[str]) -> bytes:
    """Write text[]."""
    if not values:
        return _length(12) + _length(0) + _length(0) + _length(_TEXT_OID)
    head = _length(1) + _length(0) + _length(_TEXT_OID) + _length(len(values)) + _length(1)
    data = head + b"".join(map(text, values))
    return _length(len(data)) + data


class Table(NamedTuple):
    """A table that rows are copied into: its columns in the order of the rows' values, and how each is written."""

    schema: str
    name: str
    columns: tuple[str, ...]
    encoders: tuple[Encoder, ...]

    def encode(self, rows: Iterable[tuple[Any, ...]]) -> bytes:
        """Return a whole COPY stream of these rows."""
        count = len(self.columns).to_bytes(2, "big")
        pieces = [_HEADER]
        for row in rows:
            pieces.append(count)
            pieces += [
                _NULL if value is None else write(value) for write, value in zip(self.encoders, row, strict=True)
            ]
        pieces.append(_TRAILER)
        return b"".join(pieces)
