"""How a run is cut into slices of its key space, and how far it is: pure.

A slice of a split run is about a whole number of parts, so that cutting a run up makes few small parts at the ends of
slices. Small runs, and runs of one single file, have one slice for each kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exporter.domain.runs import SliceStanding
from shared.events.values import FileKind

MOST_SLICES = 200
"""More would only mean more rows in a table; a run's helpers are few."""
_FULL = 0.9
"""How full the last part of a slice is meant to be: records differ, and a little over would make one more part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSlice:
    """A slice to be: ids from `first` up to, not including, `before`; `rows` is None where one slice is all there is
    and its count is under way.
    """

    kind: FileKind
    number: int
    first: str | None = None
    before: str | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """How far a run is: rows, uncompressed bytes, and pairs of rows done and total by slice where it is shared."""

    rows_done: int
    rows_total: int
    exact: bool
    bytes_done: int
    slices: tuple[tuple[int, int], ...] | None


def step_of(*, rows: int, record_size: float, split_size: int, slice_rows: int) -> int | None:
    """Return how many rows a slice is to have, or None where one slice is enough.

    `rows` and `record_size` (bytes with the newline) may be estimates; `slice_rows` is the least worth a slice.
    """
    wanted = min(MOST_SLICES, rows // slice_rows)
    if wanted < 2:
        return None
    part_rows = max(1.0, split_size / max(1.0, record_size))
    parts = max(1, round(rows / wanted / part_rows))
    step = max(slice_rows // 2, 2, int((parts - 1 + _FULL) * part_rows))
    return step if step < rows else None


def cut(kind: FileKind, *, rows: int, step: int, keys: Sequence[str]) -> list[PlannedSlice]:
    """Return the slices between `keys`, each the first key of another `step` rows; at most MOST_SLICES of them."""
    # Estimates may be far off, and then `step` was too small: take every second, third ... key.
    every = -(-(len(keys) + 1) // MOST_SLICES)
    kept = [key for index, key in enumerate(keys, start=1) if index % every == 0]
    size = step * every
    bounds = [None, *kept, None]
    return [
        PlannedSlice(
            kind=kind,
            number=index + 1,
            first=bounds[index],
            before=bounds[index + 1],
            rows=size if index < len(kept) else rows - size * len(kept),
        )
        for index in range(len(kept) + 1)
    ]


def totals(
    slices: Sequence[SliceStanding], counted: Mapping[FileKind, int], estimated: Mapping[FileKind, int]
) -> Totals:
    """Return how far a run is; where a slice's rows are not known, `counted` or else `estimated` says its kind's."""
    pairs = []
    exact = bool(slices)
    for each in slices:
        total = each.rows_expected if each.rows_expected is not None else counted.get(each.kind)
        if total is None:
            exact = False
            total = estimated.get(each.kind, 0)
        # A new snapshot may hold more than was planned.
        pairs.append((each.rows_done, max(total, each.rows_done)))
    if not slices:
        pairs = [(0, sum(estimated.values()))]
    kinds = {each.kind for each in slices}
    return Totals(
        rows_done=sum(done for done, _ in pairs),
        rows_total=sum(total for _, total in pairs),
        exact=exact,
        bytes_done=sum(each.bytes_done for each in slices),
        slices=tuple(pairs) if len(slices) > len(kinds) else None,
    )
