"""The export itself: a run's snapshot is opened, planned where requested, and exported slice by slice."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import replace

from exporter.errors import ExportError
from exporter.package.objects import ObjectStore, open_store
from exporter.package.packer import FileNames, PackedPart, Packer
from exporter.source.native import load
from exporter.source.selection import KeyRange, Selection
from exporter.source.snapshot import Snapshot, open_snapshot
from exporter.worker.planning import plan_slices
from exporter.worker.protocol import (
    PartStored,
    RowsCounted,
    RunOrder,
    SliceDone,
    SliceOrder,
    SliceProgressed,
    SlicesPlanned,
    SourceOpened,
    WorkerMessage,
)
from exporter.worker.record_stream import export_attachments, export_records
from exporter.worker.second_connection import SecondConnection
from exporter.worker.selections import build_packing_options, build_selections
from shared.events.values import FileKind

SendMessage = Callable[[WorkerMessage], None]
_PROGRESS_SECONDS = 1.0


class ExportWorker:
    """Carries out a run's order, then its slices' orders.

    Raises CertificateRefused, and NativeMissing where the order requires a native transcoder that cannot be used.
    """

    def __init__(self, order: RunOrder, slice_orders: "asyncio.Queue[SliceOrder]", send: SendMessage) -> None:
        self._order = order
        self._slice_orders = slice_orders
        self._send = send
        self._selections = build_selections(order)
        self._packing = build_packing_options(order)
        self._library = load() if order.is_native else None
        self._counts: dict[FileKind, asyncio.Task[int]] = {}

    async def run(self) -> None:
        """Open the source, plan if requested, and export the ordered slices until killed. Raises ExportError."""
        order = self._order
        async with AsyncExitStack() as stack:
            snapshot = await stack.enter_async_context(self._open(join=order.join))
            name = order.join or await snapshot.export()
            second = SecondConnection(lambda: stack.enter_async_context(self._open(join=name)))
            estimated = {}
            if order.join is None:
                estimated = {kind: (await snapshot.estimate(each)).rows for kind, each in self._selections.items()}
            self._send(SourceOpened(snapshot=name, estimated=estimated))
            if order.slice_rows is not None:
                idle = await second.wait_until_idle()
                slices = await plan_slices(order, self._selections, idle, estimated=estimated)
                self._send(SlicesPlanned(slices=slices))
                self._start_counts([each.kind for each in slices if each.rows is None], second, stack)
            store = open_store(order.store, order.store_options)
            while True:
                await self._export_slice(await self._slice_orders.get(), snapshot, second, store)

    def _open(self, join: str | None) -> AbstractAsyncContextManager[Snapshot]:
        return open_snapshot(
            self._order.source, join=join, position=self._order.position, stall=self._order.source_stall
        )

    def _start_counts(self, kinds: Sequence[FileKind], second: SecondConnection, stack: AsyncExitStack) -> None:
        for kind in kinds:
            self._counts[kind] = asyncio.create_task(second.count(self._selections[kind]), name=f"count {kind}")
            stack.callback(self._counts[kind].cancel)
        if kinds:
            stack.callback(asyncio.create_task(self._report_counts(), name="report counts").cancel)

    async def _report_counts(self) -> None:
        # A failed count is raised in the slice that waits for it.
        with suppress(ExportError):
            self._send(RowsCounted(rows={kind: await count for kind, count in self._counts.items()}))

    async def _export_slice(
        self, order: SliceOrder, snapshot: Snapshot, second: SecondConnection, store: ObjectStore
    ) -> None:
        keys = KeyRange(order.first, order.before, order.after)
        selection = replace(self._selections[order.kind], keys=None if keys == KeyRange() else keys)
        packer = self._create_packer(order, store)
        progress = asyncio.create_task(self._report_progress(packer), name="progress")
        count = self._find_count(order, selection, second)
        try:
            async with packer:
                if order.kind == "interaction-attachment":
                    # A connection does one thing at a time, and the second one is needed for large contents.
                    await count
                    await export_attachments(snapshot, selection, packer, second=await second.wait_until_idle())
                else:
                    await export_records(snapshot, selection, packer, library=self._library)
                # An empty file represents an empty result (E7), but not an empty remainder.
                if packer.rows or (order.number == 1 and not order.finished_parts):
                    await packer.finish()
            rows = await count
        finally:
            progress.cancel()
            count.cancel()
        self._send(SliceProgressed(rows=packer.rows, bytes_raw=packer.bytes_raw))
        self._send(SliceDone(counted=rows))

    def _create_packer(self, order: SliceOrder, store: ObjectStore) -> Packer:
        is_split = self._packing.split_size is not None
        # The numbers of the parts of an only slice are the final ones, so that its members are named like their files.
        is_alone = order.first is None and order.before is None
        names = FileNames(
            kind=order.kind,
            job_id=str(self._order.job_id),
            slot=self._order.slot,
            numbered=is_split,
            slice=order.number if is_split and not is_alone else None,
        )
        return Packer(
            store,
            order.folder,
            names,
            options=self._packing,
            first_number=order.finished_parts + 1,
            on_part=self._report_part,
        )

    def _find_count(self, order: SliceOrder, selection: Selection, second: SecondConnection) -> "asyncio.Task[int]":
        if order.counted is not None:
            return asyncio.create_task(_return(order.counted))
        if selection.keys is None and order.kind in self._counts:
            return self._counts[order.kind]
        return asyncio.create_task(second.count(selection), name="count")

    async def _report_part(self, part: PackedPart) -> None:
        if part.rows and part.last_key is None:
            raise ValueError("a record has no id")
        self._send(
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

    async def _report_progress(self, packer: Packer) -> None:
        while True:
            await asyncio.sleep(_PROGRESS_SECONDS)
            self._send(SliceProgressed(rows=packer.rows, bytes_raw=packer.bytes_raw))


async def _return(rows: int) -> int:
    return rows
