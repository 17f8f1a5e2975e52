"""Makes records from raw columns on our side of the connection, with `native/transcode.c`: PostgreSQL's own bytes.

The server's `row_to_json` (`copystream.CopyText`) is the reference, and what is used where the library is missing.
"""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from exporter.source.copy_reader import CopyFormatError, CopyReader

ROOM = 384 * 1024
"""Bytes of records that are made at a time: what one call of deflate gets."""

_LEAST_RECORD = 128
_LETTERS = {"text": b"t", "int": b"i", "bigint": b"l", "bool": b"b", "jsonb": b"j", "timestamptz": b"z"}
_UNBEGUN = -1


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole records, each with its newline, and where each ends. Use them at once: the memory is used again."""

    text: memoryview
    ends: Sequence[int]


@dataclass(frozen=True, slots=True)
class LargeRecord:
    """One record by pieces, the newline with the last; `size` is all of it."""

    pieces: Iterator[bytes]
    size: int


class _Shape(ctypes.Structure):
    _fields_ = [
        ("columns", ctypes.c_int32),
        ("types", ctypes.c_char_p),
        ("keys", ctypes.POINTER(ctypes.c_char_p)),
        ("key_sizes", ctypes.POINTER(ctypes.c_int32)),
    ]


class _Work(ctypes.Structure):
    _fields_ = [
        ("input", ctypes.c_void_p),
        ("in_size", ctypes.c_int64),
        ("in_used", ctypes.c_int64),
        ("in_wanted", ctypes.c_int64),
        ("out", ctypes.c_void_p),
        ("out_size", ctypes.c_int64),
        ("out_used", ctypes.c_int64),
        ("ends", ctypes.c_void_p),
        ("ends_size", ctypes.c_int64),
        ("records", ctypes.c_int64),
    ]


class _Place(ctypes.Structure):
    _fields_ = [("column", ctypes.c_int64), ("offset", ctypes.c_int64)]


class _Outcome(IntEnum):
    WANTS_MORE = 0
    IS_FULL = 1
    IS_LARGE = 2
    IS_WHOLE = 3
    IS_END = 4
    BAD_COLUMNS = -1
    BAD_VALUE = -2


class Transcoder(CopyReader):
    """Turns a binary COPY of typed columns into JSON Lines, in memory that does not grow with rows or their size."""

    def __init__(self, library: ctypes.CDLL, columns: Mapping[str, str], *, room: int = ROOM) -> None:
        super().__init__()
        self._rows, self._piece = library.sluice_rows, library.sluice_piece
        self._rows.argtypes = [ctypes.POINTER(_Shape), ctypes.POINTER(_Work)]
        self._piece.argtypes = [ctypes.POINTER(_Shape), ctypes.POINTER(_Work), ctypes.POINTER(_Place)]
        keys = [f'{"," if number else "{"}"{key}":'.encode() for number, key in enumerate(columns)]
        self._shape = _Shape(
            len(columns),
            b"".join(_LETTERS[column] for column in columns.values()),
            (ctypes.c_char_p * len(keys))(*keys),
            (ctypes.c_int32 * len(keys))(*map(len, keys)),
        )
        out, ends = bytearray(room), bytearray(8 * (room // _LEAST_RECORD + 1))
        self._out, self._ends = memoryview(out), memoryview(ends).cast("q")
        self._work = _Work(out=_address(out), out_size=room, ends=_address(ends), ends_size=len(self._ends))

    def feed(self, data: bytes | bytearray) -> Iterator[Lines | LargeRecord]:
        """Take the next chunk, and yield records when enough have gathered. Go on only when they are used up."""
        found = self.gathered(data)
        if found is None:
            return
        data, position = bytearray(found[0]) if isinstance(found[0], bytes) else found[0], found[1]
        work = self._work
        work.input, work.in_size, work.in_used = _address(data), len(data), position
        while (outcome := self._rows(self._shape, work)) in {_Outcome.IS_FULL, _Outcome.IS_LARGE}:
            yield self._large() if outcome == _Outcome.IS_LARGE else self._gathered_lines()
        if outcome < 0:
            raise CopyFormatError(_FAULTS[outcome])
        self.leave(data, work.in_used, work.in_wanted)

    def end(self) -> Iterator[Lines]:
        """Yield what has gathered. Raises CopyFormatError unless the end was seen."""
        self.finish()
        if self._work.records:
            yield self._gathered_lines()

    def _gathered_lines(self) -> Lines:
        lines = Lines(self._out[: self._work.out_used], self._ends[: self._work.records])
        self._work.out_used = self._work.records = 0
        return lines

    def _large(self) -> LargeRecord:
        # Its size must be known before its first byte is packed, so it is made twice; it is rare.
        begin = self._work.in_used
        size = sum(map(len, self._pieces()))
        self._work.in_used = begin
        return LargeRecord(self._pieces(), size)

    def _pieces(self) -> Iterator[bytes]:
        place, outcome = _Place(0, _UNBEGUN), _Outcome.IS_FULL
        while outcome == _Outcome.IS_FULL:
            outcome = self._piece(self._shape, self._work, place)
            piece = bytes(self._out[: self._work.out_used])
            self._work.out_used = 0
            yield piece


def _address(memory: bytearray) -> int:
    """Return where a bytearray's bytes lie, as long as it lives and keeps its size."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


_FAULTS = {
    _Outcome.BAD_COLUMNS: "a row has not the columns that were asked for",
    _Outcome.BAD_VALUE: "a value has a length or form that its type cannot have",
}
