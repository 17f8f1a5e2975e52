"""Builds records from raw columns on the client's side with `native/transcode.c`: the same bytes as PostgreSQL's JSON.

The server's `row_to_json` (`copy_reader.TextCopyReader`) is the reference, and is used where the library is missing.
"""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from exporter.errors import CopyFormatError
from exporter.source.copy_reader import CopyReader

OUTPUT_SIZE = 384 * 1024
"""Bytes of records that are built at a time, which is what one call of deflate gets."""

_MIN_RECORD_SIZE = 128
_TYPE_LETTERS = {"text": b"t", "int": b"i", "bigint": b"l", "bool": b"b", "jsonb": b"j", "timestamptz": b"z"}
_NOT_STARTED = -1


@dataclass(frozen=True, slots=True)
class RecordLines:
    """Whole records, each with its newline, and the offset at which each ends. Use them before the next call: their
    memory is reused.
    """

    text: memoryview
    ends: Sequence[int]


@dataclass(frozen=True, slots=True)
class LargeRecord:
    """One record in pieces, the last with the newline; `size` is the total in bytes."""

    pieces: Iterator[bytes]
    size: int


class _Shape(ctypes.Structure):
    _fields_ = [
        ("columns", ctypes.c_int32),
        ("types", ctypes.c_char_p),
        ("keys", ctypes.POINTER(ctypes.c_char_p)),
        ("key_sizes", ctypes.POINTER(ctypes.c_int32)),
    ]


class _Buffers(ctypes.Structure):
    _fields_ = [
        ("input", ctypes.c_void_p),
        ("in_size", ctypes.c_int64),
        ("in_used", ctypes.c_int64),
        ("in_needed", ctypes.c_int64),
        ("out", ctypes.c_void_p),
        ("out_size", ctypes.c_int64),
        ("out_used", ctypes.c_int64),
        ("ends", ctypes.c_void_p),
        ("ends_size", ctypes.c_int64),
        ("records", ctypes.c_int64),
    ]


class _Position(ctypes.Structure):
    _fields_ = [("column", ctypes.c_int64), ("offset", ctypes.c_int64)]


class _Outcome(IntEnum):
    """The values of `Outcome` in transcode.c."""

    INPUT_USED = 0
    OUTPUT_FULL = 1
    ROW_TOO_LARGE = 2
    ROW_COMPLETE = 3
    END_OF_COPY = 4
    BAD_COLUMNS = -1
    BAD_VALUE = -2


class Transcoder(CopyReader):
    """Turns a binary COPY of typed columns into JSON Lines, in memory that is independent of rows and their size.

    `columns` are the records' keys with their PostgreSQL types.
    """

    def __init__(self, library: ctypes.CDLL, columns: Mapping[str, str], *, output_size: int = OUTPUT_SIZE) -> None:
        super().__init__()
        self._write_rows, self._write_piece = library.sluice_write_rows, library.sluice_write_piece
        self._write_rows.argtypes = [ctypes.POINTER(_Shape), ctypes.POINTER(_Buffers)]
        self._write_piece.argtypes = [ctypes.POINTER(_Shape), ctypes.POINTER(_Buffers), ctypes.POINTER(_Position)]
        keys = [f'{"," if number else "{"}"{key}":'.encode() for number, key in enumerate(columns)]
        self._shape = _Shape(
            len(columns),
            b"".join(_TYPE_LETTERS[column] for column in columns.values()),
            (ctypes.c_char_p * len(keys))(*keys),
            (ctypes.c_int32 * len(keys))(*map(len, keys)),
        )
        out, ends = bytearray(output_size), bytearray(8 * (output_size // _MIN_RECORD_SIZE + 1))
        self._out, self._ends = memoryview(out), memoryview(ends).cast("q")
        self._buffers = _Buffers(
            out=_address_of(out), out_size=output_size, ends=_address_of(ends), ends_size=len(self._ends)
        )

    def feed(self, data: bytes | bytearray) -> Iterator[RecordLines | LargeRecord]:
        """Yield records from the next chunk, whenever enough have gathered; use each before asking for the next.

        Raises CopyFormatError when the bytes are not the expected COPY.
        """
        joined = self.join_kept(data)
        if joined is None:
            return
        data, position = bytearray(joined[0]) if isinstance(joined[0], bytes) else joined[0], joined[1]
        buffers = self._buffers
        buffers.input, buffers.in_size, buffers.in_used = _address_of(data), len(data), position
        interrupted = {_Outcome.OUTPUT_FULL, _Outcome.ROW_TOO_LARGE}
        while (outcome := self._write_rows(self._shape, buffers)) in interrupted:
            yield self._take_large_record() if outcome == _Outcome.ROW_TOO_LARGE else self._take_lines()
        if outcome < 0:
            raise CopyFormatError(_FAULTS[outcome])
        self.keep_rest(data, buffers.in_used, buffers.in_needed)

    def end(self) -> Iterator[RecordLines]:
        """Yield the records that are left. Raises CopyFormatError when the COPY's trailer did not arrive."""
        self.finish()
        if self._buffers.records:
            yield self._take_lines()

    def _take_lines(self) -> RecordLines:
        lines = RecordLines(self._out[: self._buffers.out_used], self._ends[: self._buffers.records])
        self._buffers.out_used = self._buffers.records = 0
        return lines

    def _take_large_record(self) -> LargeRecord:
        # Its size must be known before its first byte is packed, so it is built twice; this is rare.
        start = self._buffers.in_used
        size = sum(map(len, self._write_pieces()))
        self._buffers.in_used = start
        return LargeRecord(self._write_pieces(), size)

    def _write_pieces(self) -> Iterator[bytes]:
        position, outcome = _Position(0, _NOT_STARTED), _Outcome.OUTPUT_FULL
        while outcome == _Outcome.OUTPUT_FULL:
            outcome = self._write_piece(self._shape, self._buffers, position)
            piece = bytes(self._out[: self._buffers.out_used])
            self._buffers.out_used = 0
            yield piece


def _address_of(memory: bytearray) -> int:
    """Return the address of a bytearray's bytes, valid while it exists and keeps its size."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


_FAULTS = {
    _Outcome.BAD_COLUMNS: "a row does not have the selected columns",
    _Outcome.BAD_VALUE: "a value has a length or form that is impossible for its type",
}
