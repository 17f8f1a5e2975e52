"""Cuts what `COPY ... TO STDOUT (FORMAT binary)` sends into records, wherever the chunks happen to end."""

from abc import ABC, abstractmethod
from struct import Struct
from typing import Generic, TypeVar

from exporter.errors import ExportError

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
_HEADER = 19  # signature, flags, length of an extension
_TRAILER = b"\xff\xff"
_ROW_OF_ONE = Struct(">hi")  # number of columns, length of the first
_COLUMNS = Struct(">h")
_LENGTH = Struct(">i")

Record = TypeVar("Record")


class CopyFormatError(ExportError):
    """The bytes are not the COPY that was asked for, or they end too early."""

    code = "source-bad-copy"
    transient = True


class CopyReader:
    """Holds back what is not yet a whole record; a record may span any number of chunks."""

    def __init__(self) -> None:
        self._held: list[bytes | bytearray] = []
        self._held_size = 0
        self._wanted = _HEADER
        self._started = False
        self._ended = False

    def gathered(self, data: bytes | bytearray) -> tuple[bytes | bytearray, int] | None:
        """Take the next chunk; return it with what was held before, and where the first row in it begins, or None while
        that is too little.
        """
        if self._ended:
            if data:
                raise CopyFormatError("data after the end of the COPY")
            return None
        if self._held or len(data) < self._wanted:
            # Joined once when enough is there, so that a record of many chunks is not copied again with each of them.
            self._held.append(data)
            self._held_size += len(data)
            if self._held_size < self._wanted:
                return None
            data = b"".join(self._held)
        position = 0 if self._started else _check_header(data)
        self._started = True
        return data, position

    def leave(self, data: bytes | bytearray, position: int, wanted: int) -> None:
        """Hold back what begins at `position` until it has `wanted` bytes (0: not known), or note the end."""
        rest = data[position:]
        if rest[:2] != _TRAILER:
            self._held = [rest] if rest else []
            self._held_size = len(rest)
            self._wanted = max(wanted, len(rest) + 1)
            return
        if len(rest) > 2:
            raise CopyFormatError("data after the end of the COPY")
        self._ended = True
        self._held = []

    def finish(self) -> None:
        """Raise CopyFormatError unless the end was seen."""
        if not self._ended:
            raise CopyFormatError("the COPY ended before its trailer")


class _Cutter(CopyReader, ABC, Generic[Record]):
    """Cuts rows in Python."""

    def feed(self, data: bytes | bytearray) -> list[Record]:
        """Take the next chunk and return the records that are now whole. They point into the chunk; use them before
        long.
        """
        found = self.gathered(data)
        if found is None:
            return []
        data, position = found
        records, position, wanted = self._cut(data, position)
        self.leave(data, position, wanted)
        return records

    @abstractmethod
    def _cut(self, data: bytes | bytearray, position: int) -> tuple[list[Record], int, int]:
        """Return the whole records, where they end, and how many bytes the next needs; 0 if that is not known yet."""


class CopyText(_Cutter[memoryview]):
    """Rows of one text column that is never NULL: a record is that text."""

    def _cut(self, data: bytes | bytearray, position: int) -> tuple[list[memoryview], int, int]:
        # This loop runs once for every exported row: no calls in it but the three it cannot do without.
        records: list[memoryview] = []
        append, unpack = records.append, _ROW_OF_ONE.unpack_from
        view = memoryview(data)
        last = len(data) - _ROW_OF_ONE.size
        while position <= last:
            columns, length = unpack(data, position)
            if columns != 1 or length < 0:
                if columns == -1:
                    break
                raise CopyFormatError("a row is not one text that is not NULL")
            end = position + 6 + length
            if end > len(data):
                return records, position, 6 + length
            append(view[position + 6 : end])
            position = end
        return records, position, 0


class CopyRows(_Cutter[tuple[memoryview | None, ...]]):
    """Rows of several columns: a record is a tuple of their binary values, None for NULL."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self._columns = columns

    def _cut(self, data: bytes | bytearray, position: int) -> tuple[list[tuple[memoryview | None, ...]], int, int]:
        records: list[tuple[memoryview | None, ...]] = []
        view = memoryview(data)
        smallest = _COLUMNS.size + _LENGTH.size * self._columns
        while len(data) - position >= smallest:
            (columns,) = _COLUMNS.unpack_from(data, position)
            if columns == -1:
                break
            if columns != self._columns:
                raise CopyFormatError(f"a row has {columns} columns, not {self._columns}")
            values, end = self._cut_row(view, position + _COLUMNS.size)
            if end > len(data):
                return records, position, end - position
            records.append(tuple(values))
            position = end
        return records, position, 0

    def _cut_row(self, view: memoryview, position: int) -> tuple[list[memoryview | None], int]:
        """Return the row's values and its end; an end past the data says how far it reaches at least."""
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
    """Return where the first row begins."""
    if data[:11] != _SIGNATURE:
        raise CopyFormatError("this is not a binary COPY")
    extension = int.from_bytes(data[15:19], "big")
    if extension:
        raise CopyFormatError("the binary COPY has a header extension, which is unknown")
    return _HEADER
