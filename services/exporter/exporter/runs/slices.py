"""Exporting one claimed slice, from its order until it is done; for a coordinator and a helper alike."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import assert_never

from exporter.domain.parts import FinishedPart
from exporter.errors import HandBack, WorkerProtocolError
from exporter.runs.lease import Lease
from exporter.runs.sweep import get_slice_folder
from exporter.store.slices import SliceClaim, SliceStore
from exporter.worker.process import WorkerProcess
from exporter.worker.protocol import (
    PartStored,
    RowsCounted,
    SliceDone,
    SliceOrder,
    SliceProgressed,
    SlicesPlanned,
    SourceOpened,
    WorkerReport,
)
from shared.errors import TransientError
from shared.observe import BYTES_EXPORTED, PARTS_FINISHED, ROWS_EXPORTED, TAKEOVERS

OnMessage = Callable[[WorkerReport], None]


async def export_slice(
    claim: SliceClaim,
    worker: WorkerProcess,
    *,
    store: SliceStore,
    lease: Lease,
    must_hand_back: Callable[[], Awaitable[bool]],
    on_message: OnMessage,
) -> None:
    """Have a slice exported, saving each part under the slice's token.

    Raises HandBack at the end of a part when `must_hand_back` returns True, LeaseLost, WorkerDied, WorkerProtocolError
    and ExportError.
    """
    if claim.taken_over:
        TAKEOVERS.labels("slice").inc()
    await worker.send(build_slice_order(claim))
    while True:
        message = await worker.receive()
        on_message(message)
        match message:
            case SliceProgressed():
                # Losing it is harmless: it is only read for progress reports.
                with suppress(TransientError):
                    await store.save_progress(
                        claim, claim.finished_rows + message.rows, claim.finished_bytes + message.bytes_raw
                    )
            case PartStored():
                await _save_part(claim, message, store, lease)
                if await must_hand_back():
                    raise HandBack
            case SliceDone():
                await lease.retry_while_held(partial(store.finish, claim, claim.finished_rows + message.counted))
                return
            case RowsCounted():
                continue
            case SourceOpened() | SlicesPlanned():
                raise WorkerProtocolError(f"the worker sent {message.type} during a slice")
            case _:
                assert_never(message)


def build_slice_order(claim: SliceClaim) -> SliceOrder:
    """Return the worker's order for a slice."""
    return SliceOrder(
        kind=claim.kind,
        number=claim.number,
        folder=get_slice_folder(claim.run_id, claim.kind, claim.number, token=claim.token),
        first=claim.first,
        before=claim.before,
        after=claim.after,
        finished_parts=claim.finished_parts,
        counted=claim.counted,
    )


async def _save_part(claim: SliceClaim, stored: PartStored, store: SliceStore, lease: Lease) -> None:
    part = FinishedPart(
        kind=claim.kind,
        slice=claim.number,
        number=stored.number,
        token=claim.token,
        object=stored.object,
        rows=stored.rows,
        bytes_raw=stored.bytes_raw,
        bytes_packed=stored.bytes_packed,
        sha256=stored.sha256,
        last_key=stored.last_key,
        snapshot=claim.snapshot,
    )
    await lease.retry_while_held(lambda: store.insert_part(claim, part))
    PARTS_FINISHED.labels(part.kind).inc()
    ROWS_EXPORTED.labels(part.kind).inc(part.rows)
    BYTES_EXPORTED.labels("raw").inc(part.bytes_raw)
    BYTES_EXPORTED.labels("packed").inc(part.bytes_packed)
