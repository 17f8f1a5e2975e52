"""Rows in PostgreSQL's binary COPY format, which is read fastest, since nothing is escaped.

Source: PostgreSQL manual, COPY, "Binary Format"; values have the form that the types' `recv` functions read.
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
"""Encodes one value other than None, preceded by its length."""


def text(value: str) -> bytes:
    """Encode text, varchar or json."""
    data = value.encode()
    return _length(len(data)) + data


def jsonb(value: str) -> bytes:
    """Encode JSON text as jsonb."""
    data = value.encode()
    return _length(len(data) + 1) + b"\x01" + data


def hexadecimal(value: str) -> bytes:
    """Encode hexadecimal digits as bytea."""
    return binary(bytes.fromhex(value))


def binary(value: bytes) -> bytes:
    """Encode bytes as bytea."""
    return _length(len(value)) + value


def smallint(value: int) -> bytes:
    """Encode smallint."""
    return _int2(2, value)


def integer(value: int) -> bytes:
    """Encode integer."""
    return _int4(4, value)


def bigint(value: int) -> bytes:
    """Encode bigint."""
    return _int8(8, value)


def boolean(value: bool) -> bytes:
    """Encode boolean."""
    return b"\x00\x00\x00\x01\x01" if value else b"\x00\x00\x00\x01\x00"


def instant(micros: int) -> bytes:
    """Encode microseconds since 1970 as timestamptz, or as timestamp in UTC."""
    return _int8(8, micros - _POSTGRES_EPOCH)


def texts(values: Sequence[str]) -> bytes:
    """Encode text[]."""
    if not values:
        return _length(12) + _length(0) + _length(0) + _length(_TEXT_OID)
    head = _length(1) + _length(0) + _length(_TEXT_OID) + _length(len(values)) + _length(1)
    data = head + b"".join(map(text, values))
    return _length(len(data)) + data


class Table(NamedTuple):
    """A table for COPY: its columns in the order of the rows' values, and their encoders."""

    schema: str
    name: str
    columns: tuple[str, ...]
    encoders: tuple[Encoder, ...]

    def encode(self, rows: Iterable[tuple[Any, ...]]) -> bytes:
        """Return a complete COPY stream of the rows; raises ValueError for a row of another width."""
        count = len(self.columns).to_bytes(2, "big")
        pieces = [_HEADER]
        for row in rows:
            pieces.append(count)
            pieces += [
                _NULL if value is None else write(value) for write, value in zip(self.encoders, row, strict=True)
            ]
        pieces.append(_TRAILER)
        return b"".join(pieces)
