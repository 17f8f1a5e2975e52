"""The process that works on one run: `python -m exporter.worker`, started by the exporter, orders on standard input.

A process of its own bounds the memory, keeps the exporter's event loop free for leases, and makes cancelling a kill.
It ends when its exporter is gone.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import replace

from exporter.domain.slicing import PlannedSlice, cut, step_of
from exporter.errors import ExportError
from exporter.package.cms import Sealing
from exporter.package.objects import ObjectStore, open_store
from exporter.package.packer import FileNames, Packer, Packing, Part
from exporter.package.recipients import accept_recipients
from exporter.package.zip_stream import Compression
from exporter.source.native import load
from exporter.source.selection import KeyRange, RecordKind, Selection, WindowColumn
from exporter.source.selection import Window as SelectedWindow
from exporter.source.snapshot import Snapshot, open_snapshot
from exporter.worker.protocol import (
    ORDER,
    SAID,
    SLICE_ORDER,
    Counted,
    Failed,
    Opened,
    Order,
    PartStored,
    Planned,
    Said,
    SliceDone,
    SliceOrder,
    SliceProgressed,
)
from exporter.worker.record_stream import export_attachments, export_records
from shared.clock import SystemClock
from shared.events.values import FileKind

Tell = Callable[[Said], None]
_TICK_SECONDS = 1.0
_FILE_KIND: Mapping[RecordKind, FileKind] = {
    RecordKind.INTERACTION: "interaction",
    RecordKind.ATTACHMENT: "interaction-attachment",
    RecordKind.CONTACT: "contact",
}


def selections_of(order: Order) -> dict[FileKind, Selection]:
    """Return what a run reads, a selection for each kind of file (E3, T3)."""
    settings, contact = order.settings, order.settings.type == "contact"
    if settings.timeframe.kind == "since_last_run":
        column = WindowColumn.MODIFIED
    else:
        column = WindowColumn.CREATED if contact else WindowColumn.START
    bounded = order.window.start is not None or order.window.end is not None
    window = SelectedWindow(column, order.window.start, order.window.end) if bounded else None
    kinds = (RecordKind.CONTACT,) if contact else (RecordKind.INTERACTION, RecordKind.ATTACHMENT)
    return {_FILE_KIND[kind]: Selection(kind, settings.source_tenant, settings.media_types, window) for kind in kinds}


def packing_of(order: Order) -> Packing:
    """Return how a run's files are made. Raises CertificateRefused."""
    settings = order.settings
    return Packing(
        accept_recipients([pem.encode() for pem in order.certificates], SystemClock().now()),
        settings.split_size,
        Sealing.GCM if settings.cipher == "aes-256-gcm" else Sealing.CBC,
        Compression.SMALL if settings.compression == "small" else Compression.FAST,
    )


class Beside:
    """A second connection that joins the snapshot when it is first needed: most helpers never do."""

    def __init__(self, opening: Callable[[], Awaitable[Snapshot]]) -> None:
        self._opening = opening
        self._opened: Snapshot | None = None
        self._one = asyncio.Lock()

    async def count(self, selection: Selection) -> int:
        """Count what is selected, when the counts before are done."""
        async with self._one:
            return await (await self._open()).count(selection)

    async def idle(self) -> Snapshot:
        """Return the connection when no count is under way or waits."""
        async with self._one:
            return await self._open()

    async def _open(self) -> Snapshot:
        if self._opened is None:
            self._opened = await self._opening()
        return self._opened


async def plan(
    order: Order, selections: Mapping[FileKind, Selection], snapshot: Snapshot, estimated: Mapping[FileKind, int]
) -> tuple[PlannedSlice, ...]:
    """Cut a run into slices; rows are counted only where that takes a pass over the keys anyway."""
    slices: list[PlannedSlice] = []
    for kind, selection in selections.items():
        step = None
        if order.settings.split_size is not None and order.slice_rows is not None:
            size = await snapshot.record_size(selection) if estimated[kind] >= 2 * order.slice_rows else None
            step = size and step_of(
                rows=estimated[kind],
                record_size=size + 1,
                split_size=order.settings.split_size,
                slice_rows=order.slice_rows,
            )
        if step:
            rows, keys = await snapshot.boundaries(selection, int(step))
            slices.extend(cut(kind, rows=rows, step=int(step), keys=keys))
        else:
            slices.append(PlannedSlice(kind=kind, number=1))
    return tuple(slices)


class Work:
    """One order being carried out, slice by slice."""

    def __init__(self, order: Order, orders: "asyncio.Queue[SliceOrder]", tell: Tell) -> None:
        self._order = order
        self._orders = orders
        self._tell = tell
        self._selections = selections_of(order)
        self._packing = packing_of(order)
        self._library = load() if order.is_native else None
        self._counts: dict[FileKind, asyncio.Task[int]] = {}

    async def run(self) -> None:
        """Open the source, plan if asked to, and export what is ordered until killed. Raises ExportError."""
        order = self._order
        async with AsyncExitStack() as stack:
            snapshot = await stack.enter_async_context(open_snapshot(order.source, join=order.join))
            name = order.join or await snapshot.export()
            beside = Beside(lambda: stack.enter_async_context(open_snapshot(order.source, join=name)))
            estimated = {}
            if order.join is None:
                estimated = {kind: (await snapshot.estimate(each)).rows for kind, each in self._selections.items()}
            self._tell(Opened(snapshot=name, estimated=estimated))
            if order.slice_rows is not None:
                slices = await plan(order, self._selections, await beside.idle(), estimated)
                self._tell(Planned(slices=slices))
                self._count([each.kind for each in slices if each.rows is None], beside, stack)
            store = open_store(order.store, order.store_options)
            while True:
                await self._export(await self._orders.get(), snapshot, beside, store)

    def _count(self, kinds: list[FileKind], beside: Beside, stack: AsyncExitStack) -> None:
        for kind in kinds:
            self._counts[kind] = asyncio.create_task(beside.count(self._selections[kind]), name=f"count {kind}")
            stack.callback(self._counts[kind].cancel)
        if kinds:
            stack.callback(asyncio.create_task(self._tell_counts(), name="counted").cancel)

    async def _tell_counts(self) -> None:
        # A count that fails is met by the slice that waits for it.
        with suppress(ExportError):
            self._tell(Counted(rows={kind: await count for kind, count in self._counts.items()}))

    async def _export(self, order: SliceOrder, snapshot: Snapshot, beside: Beside, store: ObjectStore) -> None:
        run = self._order
        keys = KeyRange(order.first, order.before, order.after)
        selection = replace(self._selections[order.kind], keys=None if keys == KeyRange() else keys)
        split = self._packing.split_size is not None
        names = FileNames(selection.kind.value, str(run.job_id), run.slot, split, slice=order.number if split else None)
        packer = Packer(store, order.folder, names, self._packing, first_number=order.kept + 1, on_part=self._stored)
        ticking = asyncio.create_task(self._tick(packer), name="progress")
        counted = self._counted(order, selection, beside)
        try:
            async with packer:
                if selection.kind is RecordKind.ATTACHMENT:
                    # The second connection is needed for large contents; one connection does one thing at a time.
                    await counted
                    await export_attachments(snapshot, await beside.idle(), selection, packer)
                else:
                    await export_records(snapshot, selection, packer, library=self._library)
                # An empty file stands for an empty result (E7), not for an empty rest.
                if packer.rows or (order.number == 1 and not order.kept):
                    await packer.finish()
            rows = await counted
        finally:
            ticking.cancel()
            counted.cancel()
        self._tell(SliceProgressed(rows=packer.rows, bytes_raw=packer.bytes_raw))
        self._tell(SliceDone(counted=rows))

    def _counted(self, order: SliceOrder, selection: Selection, beside: Beside) -> "asyncio.Task[int]":
        if order.counted is not None:
            return asyncio.create_task(_known(order.counted))
        if selection.keys is None and order.kind in self._counts:
            return self._counts[order.kind]
        return asyncio.create_task(beside.count(selection), name="count")

    async def _stored(self, part: Part) -> None:
        if part.rows and part.last_key is None:
            raise ValueError("a record has no id")
        self._tell(
            PartStored(
                number=part.number,
                object=part.key,
                rows=part.rows,
                bytes_raw=part.bytes_raw,
                bytes_packed=part.bytes_packed,
                sha256=part.sha256,
                last_key=part.last_key,
            )
        )

    async def _tick(self, packer: Packer) -> None:
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            self._tell(SliceProgressed(rows=packer.rows, bytes_raw=packer.bytes_raw))


async def _known(rows: int) -> int:
    return rows


def tell(said: Said) -> None:
    """Write one line to the exporter."""
    sys.stdout.buffer.write(SAID.dump_json(said) + b"\n")
    sys.stdout.buffer.flush()


async def main() -> None:
    """Take orders from standard input and carry them out."""
    reader = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    line = await reader.readline()
    if not line:
        return
    orders: asyncio.Queue[SliceOrder] = asyncio.Queue()
    taking = asyncio.create_task(_take_orders(reader, orders), name="orders")
    try:
        await Work(ORDER.validate_json(line), orders, tell).run()
    except ExportError as error:
        tell(Failed(code=error.code, message=str(error), transient=error.transient))
    finally:
        taking.cancel()


async def _take_orders(reader: asyncio.StreamReader, orders: "asyncio.Queue[SliceOrder]") -> None:
    while line := await reader.readline():
        orders.put_nowait(SLICE_ORDER.validate_json(line))
    # The exporter is gone or has let go of us; whatever is half done is nobody's any more.
    os._exit(1)
