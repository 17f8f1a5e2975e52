"""The process that exports one run: `python -m exporter.worker`, started by the exporter, one order on standard input.

A process of its own bounds the memory, keeps the exporter's event loop free for leases, and makes cancelling a kill.
It ends when its exporter is gone.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import uvloop

from exporter.certificates import accept_recipients
from exporter.cms import Sealing
from exporter.export_errors import ExportError
from exporter.objects import open_store
from exporter.packer import FileNames, Packer, Packing, Part
from exporter.protocol import ORDER, SAID, Done, Failed, Order, PartStored, Progress, Said
from exporter.recordstream import export_attachments, export_records
from exporter.selection import RecordKind, Selection, WindowColumn
from exporter.selection import Window as SelectedWindow
from exporter.source import Snapshot, open_snapshot
from exporter.zipstream import Compression
from shared.clock import SystemClock
from shared.events.values import FileKind, Phase

Tell = Callable[[Said], None]
_TICK_SECONDS = 1.0
_FILE_KIND: Mapping[RecordKind, FileKind] = {
    RecordKind.INTERACTION: "interaction",
    RecordKind.ATTACHMENT: "interaction-attachment",
    RecordKind.CONTACT: "contact",
}


def selections_of(order: Order) -> list[Selection]:
    """Return what a run reads, a selection for each kind of file (E3, T3)."""
    settings, contact = order.settings, order.settings.type == "contact"
    if settings.timeframe.kind == "since_last_run":
        column = WindowColumn.MODIFIED
    else:
        column = WindowColumn.CREATED if contact else WindowColumn.START
    bounded = order.window.start is not None or order.window.end is not None
    window = SelectedWindow(column, order.window.start, order.window.end) if bounded else None
    kinds = (RecordKind.CONTACT,) if contact else (RecordKind.INTERACTION, RecordKind.ATTACHMENT)
    return [Selection(kind, settings.source_tenant, settings.media_types, window) for kind in kinds]


class Work:
    """One order being carried out."""

    def __init__(self, order: Order, tell: Tell) -> None:
        self._order = order
        self._tell = tell
        self._selections = selections_of(order)
        self._phase: Phase = "count"
        self._packers: list[Packer] = []
        self._expected: int | None = None
        self._counted: dict[FileKind, int] = {}

    async def run(self) -> None:
        """Export everything, telling of progress and finished parts, then Done. Raises ExportError."""
        recipients = accept_recipients([pem.encode() for pem in self._order.certificates], SystemClock().now())
        settings = self._order.settings
        packing = Packing(
            recipients,
            settings.split_size,
            Sealing.GCM if settings.cipher == "aes-256-gcm" else Sealing.CBC,
            Compression.SMALL if settings.compression == "small" else Compression.FAST,
        )
        async with AsyncExitStack() as stack:
            snapshot = await stack.enter_async_context(open_snapshot(self._order.source))
            beside = await stack.enter_async_context(open_snapshot(self._order.source, join=await snapshot.export()))
            self._expected = sum([(await snapshot.estimate(each)).rows for each in self._selections])
            self._tell(self._progress())
            ticking = asyncio.create_task(self._tick(), name="progress")
            stack.callback(ticking.cancel)
            counting = asyncio.create_task(self._count(beside), name="count")
            stack.callback(counting.cancel)
            self._phase = "export"
            for selection in self._selections:
                await self._export(selection, snapshot, beside, counting, packing)
            await counting
        self._phase = "store"
        self._tell(self._progress())
        self._tell(Done(counted=self._counted))

    async def _export(
        self, selection: Selection, snapshot: Snapshot, beside: Snapshot, counting: asyncio.Task[None], packing: Packing
    ) -> None:
        order = self._order
        names = FileNames(selection.kind.value, str(order.job_id), order.slot, packing.split_size is not None)
        packer = Packer(open_store(order.store), order.folder, names, packing, on_part=self._stored)
        self._packers.append(packer)
        async with packer:
            if selection.kind is RecordKind.ATTACHMENT:
                # The second connection is needed for large contents; one connection does one thing at a time.
                await counting
                await export_attachments(snapshot, beside, selection, packer)
            else:
                await export_records(snapshot, selection, packer)
            await packer.finish()

    async def _stored(self, part: Part) -> None:
        self._tell(
            PartStored(
                file_kind=_FILE_KIND[RecordKind(part.kind)],
                number=part.number,
                name=part.name,
                object=part.key,
                rows=part.rows,
                bytes_raw=part.bytes_raw,
                bytes_packed=part.bytes_packed,
                sha256=part.sha256,
            )
        )

    async def _count(self, beside: Snapshot) -> None:
        counted = {_FILE_KIND[each.kind]: await beside.count(each) for each in self._selections}
        self._counted = counted

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._tell(self._progress())

    def _progress(self) -> Progress:
        done = sum(packer.rows for packer in self._packers)
        total = sum(self._counted.values()) if self._counted else max(self._expected or 0, done)
        return Progress(
            phase=self._phase,
            units_done=done,
            units_total=total,
            total_exact=bool(self._counted),
            bytes_done=sum(packer.bytes_raw for packer in self._packers),
        )


def tell(said: Said) -> None:
    """Write one line to the exporter."""
    sys.stdout.buffer.write(SAID.dump_json(said) + b"\n")
    sys.stdout.buffer.flush()


async def main() -> None:
    """Take the order from standard input and carry it out."""
    reader = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    line = await reader.readline()
    if not line:
        return
    watching = asyncio.create_task(_end_with_exporter(reader), name="exporter watch")
    try:
        await Work(ORDER.validate_json(line), tell).run()
    except ExportError as error:
        tell(Failed(code=error.code, message=str(error), transient=error.transient))
    finally:
        watching.cancel()


async def _end_with_exporter(reader: asyncio.StreamReader) -> None:
    await reader.read()
    # The exporter is gone or has let go of us; whatever is half done is nobody's any more.
    os._exit(1)


if __name__ == "__main__":
    # A signal to the whole group is for the exporter, which decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    uvloop.run(main())
