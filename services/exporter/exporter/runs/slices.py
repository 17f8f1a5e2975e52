"""One claimed slice, from the order to the worker until it is done; for a coordinator and for a helper alike."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from exporter.domain.runs import FinishedPart
from exporter.errors import GiveBack
from exporter.runs.lease import Lease
from exporter.runs.sweep import folder_of_slice
from exporter.store.slices import SliceClaim, SliceStore
from exporter.worker.process import WorkerProcess
from exporter.worker.protocol import Counted, PartStored, Said, SliceDone, SliceOrder, SliceProgressed
from shared.errors import TransientError
from shared.observe import BYTES_EXPORTED, PARTS_FINISHED, ROWS_EXPORTED, TAKEOVERS

OnSaid = Callable[[Said], None]


async def export_slice(
    claim: SliceClaim,
    worker: WorkerProcess,
    *,
    store: SliceStore,
    lease: Lease,
    is_to_stop: Callable[[], Awaitable[bool]],
    on_said: OnSaid,
) -> None:
    """Have a slice exported, noting each part under the slice's token.

    Raises GiveBack at the end of a part where `is_to_stop` says so, LeaseLost, WorkerDied and ExportError.
    """
    if claim.taken_over:
        TAKEOVERS.labels("slice").inc()
    await worker.order(order_of(claim))
    while True:
        said = await worker.hear()
        on_said(said)
        match said:
            case SliceProgressed():
                # Only others look at it, and losing it is harmless.
                with suppress(TransientError):
                    await store.note(claim, claim.kept_rows + said.rows, claim.kept_bytes + said.bytes_raw)
            case PartStored():
                await _note_part(claim, said, store, lease)
                if await is_to_stop():
                    raise GiveBack
            case SliceDone():
                await lease.insist(partial(store.finish, claim, claim.kept_rows + said.counted))
                return
            case Counted():
                continue
            case _:
                raise ValueError(f"the worker says {said.said} in the middle of a slice")


def order_of(claim: SliceClaim) -> SliceOrder:
    """Return what to tell the worker of a slice."""
    return SliceOrder(
        kind=claim.kind,
        number=claim.number,
        folder=folder_of_slice(claim.run_id, claim.kind, claim.number, claim.token),
        first=claim.first,
        before=claim.before,
        after=claim.after,
        kept=claim.kept,
        counted=claim.counted,
    )


async def _note_part(claim: SliceClaim, said: PartStored, store: SliceStore, lease: Lease) -> None:
    part = FinishedPart(
        kind=claim.kind,
        slice=claim.number,
        number=said.number,
        token=claim.token,
        object=said.object,
        rows=said.rows,
        bytes_raw=said.bytes_raw,
        bytes_packed=said.bytes_packed,
        sha256=said.sha256,
        last_key=said.last_key,
        snapshot=claim.snapshot,
    )
    await lease.insist(lambda: store.insert_part(claim, part))
    PARTS_FINISHED.labels(part.kind).inc()
    ROWS_EXPORTED.labels(part.kind).inc(part.rows)
    BYTES_EXPORTED.labels("raw").inc(part.bytes_raw)
    BYTES_EXPORTED.labels("packed").inc(part.bytes_packed)
