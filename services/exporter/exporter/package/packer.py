"""Records to finished files: lines -> zip -> CMS -> store, cut into parts between records (rules P1, P2, P4, P7)."""

import json
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from exporter.package.cms import Encoder, Sealing
from exporter.package.objects import ObjectStore, ObjectWriter
from exporter.package.zip_stream import MEMBER_LIMIT, Compression, ZipStream
from exporter.source.transcoder import Lines
from shared.certificates import RecipientCertificate

GATHER = 256 * 1024
"""Bytes of records that are packed at a time."""


@dataclass(frozen=True, slots=True)
class FileNames:
    """The names of one kind of file of one run (rule P2); `kind` is `Interaction`, `Interaction-Attachment` or
    `Contact`.

    With a `slice`, the names while parts of several slices are made and none knows its final number: unique, and they
    sort in the order of the records.
    """

    kind: str
    job_id: str
    slot: datetime
    numbered: bool
    slice: int | None = None

    def stem(self, number: int) -> str:
        """Return the name without extension of file `number`, counted from 1."""
        whole = f"{self.kind}-{self.job_id}-{self.slot:%Y%m%dT%H%M%SZ}"
        if self.slice is not None:
            return f"{whole}-{self.slice:04d}-{number:04d}"
        return f"{whole}-part-{number:04d}" if self.numbered else whole

    def file(self, number: int) -> str:
        """Return the name of file `number`."""
        return f"{self.stem(number)}.zip.p7m"

    def member(self, number: int, index: int) -> str:
        """Return the name of zip member `index`, counted from 1, in file `number`; names sort in the order of the
        members.
        """
        return f"{self.stem(number)}.jsonl" if index == 1 else f"{self.stem(number)}_{index:04d}.jsonl"


@dataclass(frozen=True, slots=True)
class Packing:
    """How a run's files are made."""

    recipients: Sequence[RecipientCertificate]
    split_size: int | None = None
    sealing: Sealing = Sealing.CBC
    compression: Compression = Compression.FAST
    member_limit: int = MEMBER_LIMIT


@dataclass(frozen=True, slots=True)
class Part:
    """A finished file: its name, its key in the store, records, bytes before and after, SHA-256 of the encrypted bytes
    in hex, the id of its last record.
    """

    kind: str
    number: int
    name: str
    key: str
    rows: int
    bytes_raw: int
    bytes_packed: int
    sha256: str
    last_key: str | None


class Packer:
    """Packs one kind of record. Use as `async with`; an exception, or leaving without `finish`, leaves no unfinished
    object.

    Deflate and encryption run inline in the calling process. `write` awaits the store when a MiB of a file has
    gathered, and `on_part` (tell and record a finished part) at a part's end.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: str,
        names: FileNames,
        packing: Packing,
        *,
        first_number: int = 1,
        on_part: Callable[[Part], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._folder = folder
        self._names = names
        self._packing = packing
        self._number = first_number
        self._on_part = on_part
        self._file: _File | None = None
        self._parts: list[Part] = []

    @property
    def parts(self) -> list[Part]:
        """The finished parts."""
        return self._parts

    @property
    def rows(self) -> int:
        """Records taken so far, the part under way included."""
        return sum(part.rows for part in self._parts) + (self._file.rows if self._file else 0)

    @property
    def bytes_raw(self) -> int:
        """Bytes of records taken so far, the part under way included."""
        return sum(part.bytes_raw for part in self._parts) + (self._file.bytes_raw if self._file else 0)

    @property
    def bytes_packed(self) -> int:
        """Bytes given to the store so far, the part under way included."""
        return sum(part.bytes_packed for part in self._parts) + (self._file.bytes_packed if self._file else 0)

    def last_begins_with(self, text: bytes) -> bool:
        """Say whether the record that was taken last begins so; a part never ends before the next record comes."""
        last = self._file.last_record if self._file else None
        return last is not None and last[: len(text)] == text

    async def write(self, records: Sequence[bytes | memoryview], size: int) -> None:
        """Pack whole records (without newlines); `size` is their bytes with one newline each."""
        file = self._present()
        limit = self._packing.split_size
        if limit is None or file.bytes_raw + size <= limit:
            await file.add(records, size)
            return
        taken, taken_size = 0, 0
        for index, record in enumerate(records):
            one = len(record) + 1
            raw = file.bytes_raw + taken_size
            if raw and raw + one > limit:
                await file.add(records[taken:index], taken_size)
                await self._end_part()
                file = self._present()
                taken, taken_size = index, 0
            taken_size += one
        await file.add(records[taken:], taken_size)

    async def write_lines(self, lines: Lines) -> None:
        """Pack whole records that lie one behind the other, each with its newline."""
        limit, ends = self._packing.split_size, lines.ends
        index = begin = 0
        while index < len(ends):
            file = self._present()
            stop = len(ends) if limit is None else bisect_right(ends, begin + limit - file.bytes_raw, lo=index)
            if stop == index and file.bytes_raw:
                await self._end_part()
                continue
            # A record that is larger than a part is one of its own.
            stop = max(stop, index + 1)
            last_begin, end = ends[stop - 2] if stop > 1 else 0, ends[stop - 1]
            # (The last record is copied, for it is looked at when the memory has long been used again.)
            await file.add_lines(lines.text[begin:end], stop - index, last=bytes(lines.text[last_begin:end]))
            index, begin = stop, end

    async def write_large(self, pieces: AsyncIterator[bytes], size: int) -> None:
        """Pack one record that comes in pieces, the newline with the last; `size` is all of it and must be true."""
        file = self._present()
        if self._packing.split_size is not None and file.bytes_raw and file.bytes_raw + size > self._packing.split_size:
            await self._end_part()
            file = self._present()
        file.make_room(size)
        before = file.bytes_raw
        async for piece in pieces:
            if file.bytes_raw == before:
                file.last_record = piece
            await file.add_piece(piece)
        if file.bytes_raw - before != size:
            raise ValueError("a large record has not the size that was announced")
        file.rows += 1

    async def finish(self) -> list[Part]:
        """Finish the last file and return all parts; without any record there is still one file, an empty one (rule
        E7).
        """
        if self._file is not None or not self._parts:
            self._present()
            await self._end_part()
        return self._parts

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            await self._file.writer.abort()

    def _present(self) -> "_File":
        if self._file is None:
            key = f"{self._folder}/{self._names.file(self._number)}"
            self._file = _File(self._store.open_writer(key), key, self._names, self._number, self._packing)
        return self._file

    async def _end_part(self) -> None:
        file = self._present()
        part = await file.finish()
        self._file = None
        self._number += 1
        self._parts.append(part)
        if self._on_part is not None:
            await self._on_part(part)


class _File:
    """One file under way."""

    def __init__(self, writer: ObjectWriter, key: str, names: FileNames, number: int, packing: Packing) -> None:
        self.writer = writer
        self.rows = 0
        self.bytes_raw = 0
        self.bytes_packed = 0
        self.last_record: bytes | memoryview | None = None
        self._key = key
        self._names = names
        self._number = number
        self._members = 0
        self._zip = ZipStream(names.slot, packing.compression, member_limit=packing.member_limit)
        self._envelope = Encoder(packing.recipients, packing.sealing)
        self._out: list[bytes] = [self._envelope.start()]
        self._lines: list[bytes | memoryview] = []
        self._gathered = 0
        self._begin_member()

    async def add(self, records: Sequence[bytes | memoryview], size: int) -> None:
        self._lines.extend(records)
        self._gathered += size
        self.rows += len(records)
        self.bytes_raw += size
        if records:
            self.last_record = records[-1]
        if self._gathered >= GATHER:
            self._pack_lines()
            await self._write_out()

    async def add_lines(self, lines: memoryview, rows: int, *, last: bytes) -> None:
        self.make_room(len(lines))
        self.rows += rows
        self.bytes_raw += len(lines)
        self.last_record = last
        self._seal(self._zip.write(lines))
        await self._write_out()

    def make_room(self, size: int) -> None:
        """Begin the next zip member if the present one might pass its limit."""
        self._pack_lines()
        if not self._zip.has_room(size):
            self._begin_member()

    async def add_piece(self, piece: bytes) -> None:
        self.bytes_raw += len(piece)
        self._seal(self._zip.write(piece))
        await self._write_out()

    async def finish(self) -> Part:
        self._pack_lines()
        self._seal(self._zip.finish())
        self._out.append(self._envelope.finish())
        await self._write_out()
        written = await self.writer.finish()
        return Part(
            self._names.kind,
            self._number,
            self._names.file(self._number),
            self._key,
            self.rows,
            self.bytes_raw,
            written.size,
            written.sha256,
            None if self.last_record is None else key_of(self.last_record),
        )

    def _pack_lines(self) -> None:
        if not self._lines:
            return
        if not self._zip.has_room(self._gathered):
            self._begin_member()
        self._lines.append(b"")
        block = b"\n".join(self._lines)
        self._lines.clear()
        self._gathered = 0
        self._seal(self._zip.write(block))

    def _begin_member(self) -> None:
        self._members += 1
        self._seal(self._zip.begin(self._names.member(self._number, self._members)))

    def _seal(self, data: bytes) -> None:
        sealed = self._envelope.update(data)
        if sealed:
            self._out.append(sealed)

    async def _write_out(self) -> None:
        out, self._out = self._out, []
        for data in out:
            self.bytes_packed += len(data)
            await self.writer.write(data)


def key_of(record: bytes | memoryview) -> str | None:
    """Return the id of a record's JSON text, or None where that is not its first key; only its beginning is parsed."""
    for end in (_KEY_WITHIN, len(record)):
        text = bytes(record[:end]).decode(errors="ignore")
        if not text.startswith(_KEY_FIRST):
            return None
        try:
            found, _ = json.JSONDecoder().raw_decode(text, len(_KEY_FIRST))
        except ValueError:
            continue
        return str(found)
    return None


_KEY_FIRST = '{"id":'
_KEY_WITHIN = 1024
