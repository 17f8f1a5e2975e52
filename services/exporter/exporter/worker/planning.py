"""Planning: dividing a run into slices in its own snapshot (rule R4)."""

from collections.abc import Mapping

from exporter.domain.slicing import PlannedSlice, choose_slice_rows, cut_slices
from exporter.source.selection import Selection
from exporter.source.snapshot import Snapshot
from exporter.worker.protocol import RunOrder
from shared.events.values import FileKind


async def plan_slices(
    order: RunOrder, selections: Mapping[FileKind, Selection], snapshot: Snapshot, *, estimated: Mapping[FileKind, int]
) -> tuple[PlannedSlice, ...]:
    """Return a run's slices; rows are counted only where finding the slices' keys requires a pass over them anyway.

    `estimated` is the planner's row estimate by kind. Raises SourceUnavailable, SourceAccessRefused or BadMapping.
    """
    slices: list[PlannedSlice] = []
    for kind, selection in selections.items():
        slice_rows = await _choose_slice_rows(order, selection, snapshot, estimated=estimated[kind])
        if slice_rows is None:
            slices.append(PlannedSlice(kind=kind, number=1))
        else:
            rows, keys = await snapshot.find_boundaries(selection, slice_rows)
            slices.extend(cut_slices(kind, keys, rows=rows, slice_rows=slice_rows))
    return tuple(slices)


async def _choose_slice_rows(
    order: RunOrder, selection: Selection, snapshot: Snapshot, *, estimated: int
) -> int | None:
    split_size, min_rows = order.settings.split_size, order.slice_rows
    if split_size is None or min_rows is None or estimated < 2 * min_rows:
        return None
    size = await snapshot.sample_record_size(selection)
    if size is None:
        return None
    return choose_slice_rows(rows=estimated, record_size=size + 1, split_size=split_size, min_rows=min_rows)
