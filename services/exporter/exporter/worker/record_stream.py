"""From the source's COPY to the packer: one call for each kind of record."""

import ctypes
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator

from exporter.errors import BadMapping
from exporter.package.packer import Packer
from exporter.source.copy_reader import CopyRows, CopyText
from exporter.source.queries import columns_query, exported_columns, records_query
from exporter.source.selection import RecordKind, Selection
from exporter.source.snapshot import Snapshot
from exporter.source.transcoder import Lines, Transcoder


async def export_records(
    snapshot: Snapshot, selection: Selection, packer: Packer, *, library: ctypes.CDLL | None = None
) -> None:
    """Stream interactions or contacts into the packer. Cutting, packing and encryption run inline between the source's
    chunks. Records are made here by the native `library`, or without it by the server: the same bytes.

    Raises BadMapping when a record has no id.
    """
    if library is None:
        await _made_by_server(snapshot, selection, packer)
    else:
        await _made_here(snapshot, selection, packer, library)
    # Records without an id come last in the order.
    _insist_on_id(selection, packer)


async def _made_by_server(snapshot: Snapshot, selection: Selection, packer: Packer) -> None:
    reader = CopyText()

    async def consume(data: bytes | bytearray) -> None:
        if records := reader.feed(data):
            await packer.write(records, sum(map(len, records)) + len(records))

    await snapshot.stream(records_query(selection), consume)
    reader.finish()


async def _made_here(snapshot: Snapshot, selection: Selection, packer: Packer, library: ctypes.CDLL) -> None:
    transcoder = Transcoder(library, exported_columns(selection.kind))

    async def consume(data: bytes | bytearray) -> None:
        for made in transcoder.feed(data):
            if isinstance(made, Lines):
                await packer.write_lines(made)
            else:
                await packer.write_large(_in_turn(made.pieces), made.size)

    await snapshot.stream(columns_query(selection), consume)
    for lines in transcoder.end():
        await packer.write_lines(lines)


async def _in_turn(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def export_attachments(snapshot: Snapshot, beside: Snapshot, selection: Selection, packer: Packer) -> None:
    """Stream attachments into the packer, their content as base64.

    `beside` is a second connection that joined the snapshot: large contents are read there by chunks while the COPY
    waits. Raises BadMapping when a record has no id.
    """
    reader = CopyRows(3)

    async def consume(data: bytes | bytearray) -> None:
        for text, length, content in reader.feed(data):
            if text is None:
                raise ValueError("an attachment has no record")
            size = -1 if length is None else int.from_bytes(length, "big")
            if size < 0 or content is not None:
                record = _with_content(text, content)
                await packer.write([record], len(record) + 1)
            else:
                head = bytes(text[:-1]) + b',"content":"'
                content_chunks = beside.content(selection.source_tenant, json.loads(bytes(text))["id"], size)
                pieces = _pieces(head, content_chunks)
                await packer.write_large(pieces, len(head) + 4 * -(-size // 3) + len(_TAIL))

    if selection.kind is not RecordKind.ATTACHMENT:
        raise ValueError("this exports attachments only")
    await snapshot.stream(records_query(selection), consume)
    reader.finish()
    _insist_on_id(selection, packer)


_TAIL = b'"}\n'
_NO_ID = b'{"id":null'


def _insist_on_id(selection: Selection, packer: Packer) -> None:
    if packer.last_begins_with(_NO_ID):
        raise BadMapping(f"The source has {selection.kind} rows whose id is NULL; the view must give every row an id.")


def _with_content(text: memoryview, content: memoryview | None) -> bytes:
    # The content is the record's last key, so the server's JSON text only has to be opened at its end.
    if content is None:
        return b"".join((text[:-1], b',"content":null}'))
    return b"".join((text[:-1], b',"content":"', b64encode(content), b'"}'))


async def _pieces(head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield head
    async for chunk in chunks:
        yield b64encode(chunk)
    yield _TAIL
