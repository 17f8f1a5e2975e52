"""Slices: how a run's key space is divided, and how far the run has come (rules R4 and H4).

A slice of a split run is about a whole number of parts long, so that slicing adds few small parts. Small runs, and runs
with a single file, have one slice for each kind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared.events.values import FileKind

SliceState = Literal["waiting", "running", "done"]

MAX_SLICES = 200
"""More would only mean more rows in a table; a run has few helpers."""
_LAST_PART_FILL = 0.9
"""How full a slice's last part is meant to be: record sizes vary, and a slight excess would add one more part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedSlice:
    """A slice to be exported: ids from `first` up to, but not including, `before`; None is unbounded.

    `rows` is None where the slice is its kind's only one and the count is still under way.
    """

    kind: FileKind
    number: int
    first: str | None = None
    before: str | None = None
    rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceStatus:
    """How far a slice has come; `rows_expected` is None until the slice is counted."""

    kind: FileKind
    number: int
    state: SliceState
    token: int
    rows_expected: int | None
    rows_done: int
    bytes_done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTotals:
    """How far a run has come: rows and uncompressed bytes.

    `exact` is False while a total is an estimate. `slices` are pairs of rows done and rows in total, one for each
    slice, or None where the run is not shared.
    """

    rows_done: int
    rows_total: int
    exact: bool
    bytes_done: int
    slices: tuple[tuple[int, int], ...] | None


def choose_slice_rows(*, rows: int, record_size: float, split_size: int, min_rows: int) -> int | None:
    """Return how many rows a slice is to have, or None where one slice is enough.

    `rows` and `record_size` (bytes with the newline) may be estimates, `split_size` is in bytes; a slice is not worth
    its cost below `min_rows`.
    """
    wanted = min(MAX_SLICES, rows // min_rows)
    if wanted < 2:
        return None
    part_rows = max(1.0, split_size / max(1.0, record_size))
    parts = max(1, round(rows / wanted / part_rows))
    slice_rows = max(min_rows // 2, 2, int((parts - 1 + _LAST_PART_FILL) * part_rows))
    return slice_rows if slice_rows < rows else None


def cut_slices(kind: FileKind, keys: Sequence[str], *, rows: int, slice_rows: int) -> list[PlannedSlice]:
    """Return the slices between `keys`, at most MAX_SLICES; each key is the first of another `slice_rows` rows."""
    # Estimates may be far off, so that `slice_rows` was too small: use every second, third ... key.
    every = -(-(len(keys) + 1) // MAX_SLICES)
    used = [key for index, key in enumerate(keys, start=1) if index % every == 0]
    size = slice_rows * every
    bounds = [None, *used, None]
    return [
        PlannedSlice(
            kind=kind,
            number=index + 1,
            first=bounds[index],
            before=bounds[index + 1],
            rows=size if index < len(used) else rows - size * len(used),
        )
        for index in range(len(used) + 1)
    ]


def sum_progress(
    slices: Sequence[SliceStatus], counted: Mapping[FileKind, int], estimated: Mapping[FileKind, int]
) -> RunTotals:
    """Return how far a run has come.

    Where a slice is not counted, its kind's entry in `counted`, or else in `estimated`, is its total.
    """
    pairs = []
    exact = bool(slices)
    for each in slices:
        total = each.rows_expected if each.rows_expected is not None else counted.get(each.kind)
        if total is None:
            exact = False
            total = estimated.get(each.kind, 0)
        # A new snapshot may contain more rows than were planned.
        pairs.append((each.rows_done, max(total, each.rows_done)))
    if not slices:
        pairs = [(0, sum(estimated.values()))]
    kinds = {each.kind for each in slices}
    return RunTotals(
        rows_done=sum(done for done, _ in pairs),
        rows_total=sum(total for _, total in pairs),
        exact=exact,
        bytes_done=sum(each.bytes_done for each in slices),
        slices=tuple(pairs) if len(slices) > len(kinds) else None,
    )
