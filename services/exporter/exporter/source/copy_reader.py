"""Cuts the output of `COPY ... TO STDOUT (FORMAT binary)` into records, wherever its chunks end."""

from abc import ABC, abstractmethod
from struct import Struct
from typing import Generic, TypeVar

from exporter.errors import CopyFormatError
from exporter.source.separators import escape_separators, find_separators

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER_SIZE = 19  # signature, flags, length of the header extension
_TRAILER = b"\xff\xff"
_ONE_COLUMN_ROW = Struct(">hi")  # number of columns, length of the first
_COLUMN_COUNT = Struct(">h")
_LENGTH = Struct(">i")

Record = TypeVar("Record")


class CopyReader:
    """Keeps the bytes that are not yet a whole record; a record may span any number of chunks."""

    def __init__(self) -> None:
        self._kept: list[bytes | bytearray] = []
        self._kept_size = 0
        self._needed = _HEADER_SIZE
        self._started = False
        self._ended = False

    def join_kept(self, data: bytes | bytearray) -> tuple[bytes | bytearray, int] | None:
        """Return the kept bytes followed by the next chunk, and the offset of the first row in them.

        Returns None while that is too little for a record. Raises CopyFormatError for a wrong header, or for data after
        the end.
        """
        if self._ended:
            if data:
                raise CopyFormatError("data after the end of the COPY")
            return None
        if self._kept or len(data) < self._needed:
            # Joined only once enough has arrived, so that a record of many chunks is not copied again with each of
            # them.
            self._kept.append(data)
            self._kept_size += len(data)
            if self._kept_size < self._needed:
                return None
            data = b"".join(self._kept)
        position = 0 if self._started else _check_header(data)
        self._started = True
        return data, position

    def keep_rest(self, data: bytes | bytearray, position: int, needed: int) -> None:
        """Keep the bytes from `position` on until there are `needed` bytes (0: unknown), or note the end of the COPY.

        Raises CopyFormatError for data after the end.
        """
        rest = data[position:]
        if rest[:2] != _TRAILER:
            self._kept = [rest] if rest else []
            self._kept_size = len(rest)
            self._needed = max(needed, len(rest) + 1)
            return
        if len(rest) > 2:
            raise CopyFormatError("data after the end of the COPY")
        self._ended = True
        self._kept = []

    def finish(self) -> None:
        """Check that the COPY is complete. Raises CopyFormatError when its trailer did not arrive."""
        if not self._ended:
            raise CopyFormatError("the COPY ended before its trailer")


class _RecordReader(CopyReader, ABC, Generic[Record]):
    """Cuts rows in Python."""

    def feed(self, data: bytes | bytearray) -> list[Record]:
        """Return the records that the next chunk completes; they point into it, so use them before the next call.

        Raises CopyFormatError when the bytes are not the expected COPY.
        """
        joined = self.join_kept(data)
        if joined is None:
            return []
        data, position = joined
        records, position, needed = self._cut(data, position)
        self.keep_rest(data, position, needed)
        return records

    @abstractmethod
    def _cut(self, data: bytes | bytearray, position: int) -> tuple[list[Record], int, int]:
        """Return the whole records, where they end, and how many bytes the next needs; 0 while that is unknown."""


class TextCopyReader(_RecordReader[bytes | memoryview]):
    """Reads rows of one JSON text that is never NULL: a record is that text, with line separators escaped."""

    def _cut(self, data: bytes | bytearray, position: int) -> tuple[list[bytes | memoryview], int, int]:
        records, position, needed = self._cut_texts(data, position)
        if separators := find_separators(data):
            return [escape_separators(each, separators) for each in records], position, needed
        return [*records], position, needed

    def _cut_texts(self, data: bytes | bytearray, position: int) -> tuple[list[memoryview], int, int]:
        # This loop runs once for every exported row: it calls nothing that it can do without.
        records: list[memoryview] = []
        append, unpack = records.append, _ONE_COLUMN_ROW.unpack_from
        view = memoryview(data)
        last = len(data) - _ONE_COLUMN_ROW.size
        while position <= last:
            columns, length = unpack(data, position)
            if columns != 1 or length < 0:
                if columns == -1:
                    break
                raise CopyFormatError("a row is not a single text that is not NULL")
            end = position + 6 + length
            if end > len(data):
                return records, position, 6 + length
            append(view[position + 6 : end])
            position = end
        return records, position, 0


class RowCopyReader(_RecordReader[tuple[memoryview | None, ...]]):
    """Reads rows of several columns: a record is a tuple of their binary values, None for NULL."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self._columns = columns

    def _cut(self, data: bytes | bytearray, position: int) -> tuple[list[tuple[memoryview | None, ...]], int, int]:
        records: list[tuple[memoryview | None, ...]] = []
        view = memoryview(data)
        smallest = _COLUMN_COUNT.size + _LENGTH.size * self._columns
        while len(data) - position >= smallest:
            (columns,) = _COLUMN_COUNT.unpack_from(data, position)
            if columns == -1:
                break
            if columns != self._columns:
                raise CopyFormatError(f"a row has {columns} columns, not {self._columns}")
            values, end = self._cut_row(view, position + _COLUMN_COUNT.size)
            if end > len(data):
                return records, position, end - position
            records.append(tuple(values))
            position = end
        return records, position, 0

    def _cut_row(self, view: memoryview, position: int) -> tuple[list[memoryview | None], int]:
        """Return the row's values and its end; an end beyond the data is the least that the row needs."""
        values: list[memoryview | None] = []
        for left in range(self._columns, 0, -1):
            if position + _LENGTH.size > len(view):
                return values, position + _LENGTH.size * left
            (length,) = _LENGTH.unpack_from(view, position)
            position += _LENGTH.size
            values.append(None if length < 0 else view[position : position + length])
            position += max(length, 0)
        return values, position


def _check_header(data: bytes | bytearray) -> int:
    """Return the offset of the first row."""
    if data[:11] != _SIGNATURE:
        raise CopyFormatError("this is not a binary COPY")
    extension = int.from_bytes(data[15:19], "big")
    if extension:
        raise CopyFormatError("the binary COPY has an unknown header extension")
    return _HEADER_SIZE
