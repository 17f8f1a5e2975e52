"""Finished parts: which files they become, and whether they contain every row of the snapshot (rules P1 and P5)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter.domain.slicing import SliceStatus
from shared.events import ExportedFile, JobSettings
from shared.events.values import FileKind


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedPart:
    """A stored part: number `number`, counted from 1, of its slice, written under the slice's fencing token `token`.

    `bytes_raw` and `bytes_packed` are its size before and after packing, `sha256` (hex) is of the packed bytes.
    `snapshot` names the snapshot in which it was read; `last_key` is the id of its last record.
    """

    kind: FileKind
    slice: int
    number: int
    token: int
    object: str
    rows: int
    bytes_raw: int
    bytes_packed: int
    sha256: str
    last_key: str | None
    snapshot: str | None


def number_files(
    parts: Sequence[FinishedPart], settings: JobSettings, name_of: Callable[[FileKind, int], str]
) -> tuple[ExportedFile, ...]:
    """Return a run's files, one for each part; `parts` are in the order of their records.

    Numbers are known only when all slices are done, and are contiguous within each kind; `name_of` gives a file's name
    from kind and number.
    """
    numbers: dict[FileKind, int] = {}
    files = []
    for part in parts:
        numbers[part.kind] = number = numbers.get(part.kind, 0) + 1
        files.append(
            ExportedFile(
                name=name_of(part.kind, number),
                kind=part.kind,
                part=number if settings.split_size is not None else None,
                rows=part.rows,
                bytes_raw=part.bytes_raw,
                bytes_packed=part.bytes_packed,
                sha256=part.sha256,
                object=part.object,
            )
        )
    return tuple(files)


def describe_missing_rows(parts: Sequence[FinishedPart], slices: Sequence[SliceStatus]) -> str | None:
    """Return a message naming each slice whose parts do not contain the rows of its snapshot (P5), or None."""
    written: dict[tuple[FileKind, int], int] = {}
    for part in parts:
        written[part.kind, part.slice] = written.get((part.kind, part.slice), 0) + part.rows
    faults = [
        f"{each.kind} (slice {each.number}): {written.get((each.kind, each.number), 0)} of {each.rows_expected}"
        for each in slices
        if written.get((each.kind, each.number)) != each.rows_expected
    ]
    return "The files do not contain the rows that the snapshot contained: " + ", ".join(faults) if faults else None


def sum_rows_by_kind(slices: Sequence[SliceStatus]) -> dict[FileKind, int]:
    """Return how many rows the snapshots contained, by kind of file."""
    rows: dict[FileKind, int] = {}
    for each in slices:
        rows[each.kind] = rows.get(each.kind, 0) + (each.rows_expected or 0)
    return rows
