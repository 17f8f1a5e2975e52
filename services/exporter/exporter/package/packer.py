"""Records to finished parts: lines, zip, CMS, store; divided between records (rules P1, P2, P4, P7)."""

import json
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self

from exporter.package.cms import EnvelopeEncoder
from exporter.package.objects import ObjectStore, ObjectWriter
from exporter.package.zip_stream import MEMBER_LIMIT, ZipStream
from exporter.source.transcoder import RecordLines
from shared.certificates import RecipientCertificate
from shared.events.values import Cipher, Compression, FileKind

GATHER = 256 * 1024
"""Bytes of records that are packed at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileNames:
    """The names of a run's files of one kind (rule P2).

    With a `slice`, the names of parts whose final number is not yet known: they are unique, and sort in the order of
    their records.
    """

    kind: FileKind
    job_id: str
    slot: datetime
    numbered: bool
    slice: int | None = None

    def get_stem(self, number: int) -> str:
        """Return the name without extension of file `number`, counted from 1."""
        whole = f"{self.kind.title()}-{self.job_id}-{self.slot:%Y%m%dT%H%M%SZ}"
        if self.slice is not None:
            return f"{whole}-{self.slice:04d}-{number:04d}"
        return f"{whole}-part-{number:04d}" if self.numbered else whole

    def get_file(self, number: int) -> str:
        """Return the name of file `number`, counted from 1."""
        return f"{self.get_stem(number)}.zip.p7m"

    def get_member(self, number: int, index: int) -> str:
        """Return the name of zip member `index`, counted from 1, in file `number`; names sort in the members' order."""
        stem = self.get_stem(number)
        return f"{stem}.jsonl" if index == 1 else f"{stem}_{index:04d}.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingOptions:
    """How a run's files are packed; `split_size` (bytes of records) None means a single file."""

    recipients: Sequence[RecipientCertificate]
    split_size: int | None = None
    cipher: Cipher = "aes-256-cbc"
    compression: Compression = "fast"
    member_limit: int = MEMBER_LIMIT


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedPart:
    """A stored part: its key in the store, records, bytes before and after packing, SHA-256 (hex) of the packed bytes.

    `last_key` is the id of its last record.
    """

    kind: FileKind
    number: int
    name: str
    key: str
    rows: int
    bytes_raw: int
    bytes_packed: int
    sha256: str
    last_key: str | None


class Packer:
    """Packs records of one kind. Use as `async with`: leaving without `finish` leaves no unfinished object behind.

    Deflate and encryption run inline in the calling process. Writing waits for the store when a MiB of a file has
    gathered, and for `on_part` at the end of a part. Methods that write raise ObjectStoreUnavailable,
    ObjectStoreRefused or FileTooLarge.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: str,
        names: FileNames,
        *,
        options: PackingOptions,
        first_number: int = 1,
        on_part: Callable[[PackedPart], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._folder = folder
        self._names = names
        self._options = options
        self._number = first_number
        self._on_part = on_part
        self._file: _File | None = None
        self._parts: list[PackedPart] = []

    @property
    def rows(self) -> int:
        """Records so far, including the current part."""
        return sum(part.rows for part in self._parts) + (self._file.rows if self._file else 0)

    @property
    def bytes_raw(self) -> int:
        """Bytes of records so far, including the current part."""
        return sum(part.bytes_raw for part in self._parts) + (self._file.bytes_raw if self._file else 0)

    @property
    def bytes_packed(self) -> int:
        """Bytes written to the store so far, including the current part."""
        return sum(part.bytes_packed for part in self._parts) + (self._file.bytes_packed if self._file else 0)

    def has_last_record_with_prefix(self, prefix: bytes) -> bool:
        """Return whether the last record starts with `prefix`; a part never ends before the next record arrives."""
        last = self._file.last_record if self._file else None
        return last is not None and last[: len(prefix)] == prefix

    async def write(self, records: Sequence[bytes | memoryview], size: int) -> None:
        """Pack whole records without newlines; `size` is their bytes with one newline each."""
        file = self._get_file()
        limit = self._options.split_size
        if limit is None or file.bytes_raw + size <= limit:
            await file.add(records, size)
            return
        start, start_size = 0, 0
        for index, record in enumerate(records):
            record_size = len(record) + 1
            raw = file.bytes_raw + start_size
            if raw and raw + record_size > limit:
                await file.add(records[start:index], start_size)
                await self._end_part()
                file = self._get_file()
                start, start_size = index, 0
            start_size += record_size
        await file.add(records[start:], start_size)

    async def write_lines(self, lines: RecordLines) -> None:
        """Pack whole consecutive records, each with its newline."""
        limit, ends = self._options.split_size, lines.ends
        index = start = 0
        while index < len(ends):
            file = self._get_file()
            stop = len(ends) if limit is None else bisect_right(ends, start + limit - file.bytes_raw, lo=index)
            if stop == index and file.bytes_raw:
                await self._end_part()
                continue
            # A record that is larger than a part becomes a part of its own.
            stop = max(stop, index + 1)
            last_start, end = ends[stop - 2] if stop > 1 else 0, ends[stop - 1]
            # (The last record is copied, because its memory is reused before it is needed.)
            await file.add_lines(lines.text[start:end], stop - index, last=bytes(lines.text[last_start:end]))
            index, start = stop, end

    async def write_large(self, pieces: AsyncIterator[bytes], size: int) -> None:
        """Pack one record in pieces, the last with the newline; `size` is the exact total in bytes.

        Raises ValueError when the pieces have another size.
        """
        file = self._get_file()
        if self._options.split_size is not None and file.bytes_raw and file.bytes_raw + size > self._options.split_size:
            await self._end_part()
            file = self._get_file()
        file.make_room(size)
        before = file.bytes_raw
        async for piece in pieces:
            if file.bytes_raw == before:
                file.last_record = piece
            await file.add_piece(piece)
        if file.bytes_raw - before != size:
            raise ValueError("a large record does not have the announced size")
        file.rows += 1

    async def finish(self) -> list[PackedPart]:
        """Finish the last file and return all parts; without any record there is one file, an empty one (rule E7)."""
        if self._file is not None or not self._parts:
            self._get_file()
            await self._end_part()
        return self._parts

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._file is not None:
            await self._file.writer.abort()

    def _get_file(self) -> "_File":
        if self._file is None:
            key = f"{self._folder}/{self._names.get_file(self._number)}"
            self._file = _File(self._store.open_writer(key), key, self._names, self._number, self._options)
        return self._file

    async def _end_part(self) -> None:
        file = self._get_file()
        part = await file.finish()
        self._file = None
        self._number += 1
        self._parts.append(part)
        if self._on_part is not None:
            await self._on_part(part)


class _File:
    """The file of the current part."""

    def __init__(self, writer: ObjectWriter, key: str, names: FileNames, number: int, options: PackingOptions) -> None:
        self.writer = writer
        self.rows = 0
        self.bytes_raw = 0
        self.bytes_packed = 0
        self.last_record: bytes | memoryview | None = None
        self._key = key
        self._names = names
        self._number = number
        self._members = 0
        self._zip = ZipStream(names.slot, options.compression, member_limit=options.member_limit)
        self._envelope = EnvelopeEncoder(options.recipients, options.cipher)
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
        self._encrypt(self._zip.write(lines))
        await self._write_out()

    def make_room(self, size: int) -> None:
        """Begin the next zip member if the current one might exceed its limit."""
        self._pack_lines()
        if not self._zip.has_room(size):
            self._begin_member()

    async def add_piece(self, piece: bytes) -> None:
        self.bytes_raw += len(piece)
        self._encrypt(self._zip.write(piece))
        await self._write_out()

    async def finish(self) -> PackedPart:
        self._pack_lines()
        self._encrypt(self._zip.finish())
        self._out.append(self._envelope.finish())
        await self._write_out()
        written = await self.writer.finish()
        return PackedPart(
            kind=self._names.kind,
            number=self._number,
            name=self._names.get_file(self._number),
            key=self._key,
            rows=self.rows,
            bytes_raw=self.bytes_raw,
            bytes_packed=written.size,
            sha256=written.sha256,
            last_key=None if self.last_record is None else parse_record_id(self.last_record),
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
        self._encrypt(self._zip.write(block))

    def _begin_member(self) -> None:
        self._members += 1
        self._encrypt(self._zip.begin(self._names.get_member(self._number, self._members)))

    def _encrypt(self, data: bytes) -> None:
        encrypted = self._envelope.update(data)
        if encrypted:
            self._out.append(encrypted)

    async def _write_out(self) -> None:
        out, self._out = self._out, []
        for data in out:
            self.bytes_packed += len(data)
            await self.writer.write(data)


def parse_record_id(record: bytes | memoryview) -> str | None:
    """Return the id in a record's JSON text, or None if that is not its first key; parses only the beginning."""
    for end in (_ID_WITHIN, len(record)):
        text = bytes(record[:end]).decode(errors="ignore")
        if not text.startswith(_ID_FIRST):
            return None
        try:
            found, _ = json.JSONDecoder().raw_decode(text, len(_ID_FIRST))
        except ValueError:
            continue
        return str(found)
    return None


_ID_FIRST = '{"id":'
_ID_WITHIN = 1024
