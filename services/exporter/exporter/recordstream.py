"""From the source's COPY to the packer: one call for each kind of record."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator

from exporter.copystream import CopyRows, CopyText
from exporter.export_errors import BadMapping
from exporter.packer import Packer
from exporter.readahead import ReadAhead
from exporter.selection import RecordKind, Selection
from exporter.source import Snapshot

WORTH_AHEAD = 50_000
"""Records from which on a second connection pays."""


async def export_records(snapshot: Snapshot, selection: Selection, packer: Packer) -> None:
    """Stream interactions or contacts into the packer. Cutting, packing and encryption run inline between the source's
    chunks; where there is much to read, a second connection works ahead.

    Raises BadMapping when a record has no id.
    """
    reader = CopyText()
    last = b""

    async def consume(data: bytes) -> None:
        nonlocal last
        records = reader.feed(data)
        if records:
            last = bytes(records[-1][: len(_NO_ID)])
            await packer.write(records, sum(map(len, records)) + len(records))

    def finish() -> None:
        nonlocal reader
        reader.finish()
        reader = CopyText()

    expected = await snapshot.estimate(selection)
    if expected.rows >= WORTH_AHEAD and expected.is_indexed:
        # Ranges of keys pass over what has none.
        _insist_on_id(selection, is_missing=await snapshot.has_keyless(selection))
        async with snapshot.beside() as second:
            await ReadAhead([snapshot, second], selection).stream(consume, finish)
        return
    await snapshot.stream(selection, consume)
    finish()
    # Records without an id come last in the order.
    _insist_on_id(selection, is_missing=last == _NO_ID)


async def export_attachments(snapshot: Snapshot, beside: Snapshot, selection: Selection, packer: Packer) -> None:
    """Stream attachments into the packer, their content as base64.

    `beside` is a second connection that joined the snapshot: large contents are read there by chunks while the COPY
    waits. Raises BadMapping when a record has no id.
    """
    reader = CopyRows(3)
    last = b""

    async def consume(data: bytes) -> None:
        nonlocal last
        for text, length, content in reader.feed(data):
            if text is None:
                raise ValueError("an attachment has no record")
            last = bytes(text[: len(_NO_ID)])
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
    await snapshot.stream(selection, consume)
    reader.finish()
    _insist_on_id(selection, is_missing=last == _NO_ID)


_TAIL = b'"}\n'
_NO_ID = b'{"id":null'


def _insist_on_id(selection: Selection, *, is_missing: bool) -> None:
    if is_missing:
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
