"""Streams records from the source's COPY to the packer, one function for each kind of record."""

import ctypes
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator

from exporter.errors import BadMapping
from exporter.package.packer import Packer
from exporter.source.columns import map_record_keys
from exporter.source.copy_reader import RowCopyReader, TextCopyReader
from exporter.source.queries import build_columns_query, build_records_query
from exporter.source.selection import Selection
from exporter.source.separators import escape_separators
from exporter.source.snapshot import Snapshot
from exporter.source.transcoder import RecordLines, Transcoder


async def export_records(
    snapshot: Snapshot, selection: Selection, packer: Packer, *, library: ctypes.CDLL | None = None
) -> None:
    """Stream interactions or contacts into the packer, which runs inline between the source's chunks.

    The native `library` builds the records' JSON, or without it the source's server: the same bytes. Raises BadMapping
    when a record has no id, and as Snapshot.stream and Packer do.
    """
    if library is None:
        await _stream_from_server(snapshot, selection, packer)
    else:
        await _stream_transcoded(snapshot, selection, packer, library)
    # Records without an id are sorted last.
    _require_id(selection, packer)


async def _stream_from_server(snapshot: Snapshot, selection: Selection, packer: Packer) -> None:
    reader = TextCopyReader()

    async def consume(data: bytes | bytearray) -> None:
        if records := reader.feed(data):
            await packer.write(records, sum(map(len, records)) + len(records))

    await snapshot.stream(build_records_query(selection), consume)
    reader.finish()


async def _stream_transcoded(snapshot: Snapshot, selection: Selection, packer: Packer, library: ctypes.CDLL) -> None:
    transcoder = Transcoder(library, map_record_keys(selection.kind))

    async def consume(data: bytes | bytearray) -> None:
        for records in transcoder.feed(data):
            if isinstance(records, RecordLines):
                await packer.write_lines(records)
            else:
                await packer.write_large(_to_async(records.pieces), records.size)

    await snapshot.stream(build_columns_query(selection), consume)
    for lines in transcoder.end():
        await packer.write_lines(lines)


async def _to_async(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def export_attachments(snapshot: Snapshot, selection: Selection, packer: Packer, *, second: Snapshot) -> None:
    """Stream attachments into the packer, their content as base64.

    `second` is another connection in the same snapshot, on which large contents are read in chunks while the COPY
    waits. Raises BadMapping when a record has no id, ValueError for another kind of record, and as Snapshot and Packer
    do.
    """
    reader = RowCopyReader(3)

    async def consume(data: bytes | bytearray) -> None:
        for row, length, content in reader.feed(data):
            if row is None:
                raise ValueError("an attachment has no record")
            text = escape_separators(row)
            size = -1 if length is None else int.from_bytes(length, "big")
            if size < 0 or content is not None:
                record = _add_content(text, content)
                await packer.write([record], len(record) + 1)
            else:
                head = text[:-1] + b',"content":"'
                chunks = second.read_content(selection.source_tenant, json.loads(text)["id"], size)
                await packer.write_large(_encode_large(head, chunks), len(head) + 4 * -(-size // 3) + len(_TAIL))

    if selection.kind != "interaction-attachment":
        raise ValueError("this exports attachments only")
    await snapshot.stream(build_records_query(selection), consume)
    reader.finish()
    _require_id(selection, packer)


_TAIL = b'"}\n'
_NO_ID = b'{"id":null'


def _require_id(selection: Selection, packer: Packer) -> None:
    if packer.has_last_record_with_prefix(_NO_ID):
        raise BadMapping(f"The source has {selection.kind} rows whose id is NULL; the view must give every row an id.")


def _add_content(text: bytes, content: memoryview | None) -> bytes:
    # The content is the record's last key, so it replaces the closing brace of the server's JSON text.
    if content is None:
        return b"".join((text[:-1], b',"content":null}'))
    return b"".join((text[:-1], b',"content":"', b64encode(content), b'"}'))


async def _encode_large(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in chunks:
        yield b64encode(chunk)
    yield _TAIL
