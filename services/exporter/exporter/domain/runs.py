"""What becomes of a trigger, a run and a failure: pure, time is an argument."""

from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from shared.events import ExportedFile, JobSettings, SlotTriggered, Window
from shared.events.values import FileKind, Timeframe

Admission = Literal["queued", "skipped", "cancelled"]
SliceState = Literal["waiting", "running", "done"]
SCHEMA_VERSION = 1
"""The version of the records' JSON Schemas, told in every manifest (E4)."""
_BACKOFF_FIRST, _BACKOFF_MOST = timedelta(seconds=2), timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What is known of a job when a trigger comes: its open runs by state, and whether it is gone."""

    deleted: bool
    queued: int
    running: int


def admit(trigger: SlotTriggered, job: JobFacts) -> Admission:
    """Return what a trigger becomes: rules J9 (a deletion in flight) and S9 (overlap; at most one waits)."""
    if job.deleted:
        return "cancelled"
    busy = job.queued + job.running
    if busy and (trigger.overlap == "skip" or job.queued):
        return "skipped"
    return "queued"


def backoff(attempt: int) -> timedelta:
    """Return the pause after failed attempt number `attempt`: it doubles, up to five minutes."""
    return min(_BACKOFF_MOST, _BACKOFF_FIRST * (1 << min(attempt - 1, 16)))


def window_of(timeframe: Timeframe, slot: datetime, complete_through: datetime | None) -> Window:
    """Return a run's window (T1, T2); the end of `since_last_run` is found in the source, when the run begins."""
    match timeframe.kind:
        case "all":
            return Window()
        case "fixed":
            return Window(start=timeframe.start, end=timeframe.end)
        case "last":
            return Window(start=_before(slot, timeframe), end=slot)
        case "since_last_run":
            return Window(start=complete_through)


def _before(slot: datetime, timeframe: Timeframe) -> datetime:
    count, unit = timeframe.count or 1, timeframe.unit or "days"
    if unit == "months":
        year, month = divmod(slot.year * 12 + slot.month - 1 - count, 12)
        return slot.replace(year=year, month=month + 1, day=min(slot.day, monthrange(year, month + 1)[1]))
    return slot - count * {"hours": timedelta(hours=1), "days": timedelta(days=1), "weeks": timedelta(weeks=1)}[unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedPart:
    """A part that is stored: number `number` of its slice, made under the slice's token `token`.

    `snapshot` names the one that it was read in, `last_key` is the id of its last record.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceStanding:
    """How far a slice is; `rows_expected` is None while that is not counted."""

    kind: FileKind
    number: int
    state: SliceState
    token: int
    rows_expected: int | None
    rows_done: int
    bytes_done: int


def files_of(
    parts: Sequence[FinishedPart], settings: JobSettings, name_of: Callable[[FileKind, int], str]
) -> tuple[ExportedFile, ...]:
    """Return the finished parts, which are in the order of their records, as files of the run.

    Only now are numbers known, contiguous within each kind; `name_of` gives a file's name from kind and number.
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


def missing_rows(parts: Sequence[FinishedPart], slices: Sequence[SliceStanding]) -> str | None:
    """Return in words where the parts do not add up to what each slice's snapshot held (P5), or None where they do."""
    written: dict[tuple[FileKind, int], int] = {}
    for part in parts:
        written[part.kind, part.slice] = written.get((part.kind, part.slice), 0) + part.rows
    faults = [
        f"{each.kind} (slice {each.number}): {written.get((each.kind, each.number), 0)} of {each.rows_expected}"
        for each in slices
        if written.get((each.kind, each.number)) != each.rows_expected
    ]
    return "The files do not hold the rows that the snapshot held: " + ", ".join(faults) if faults else None


def rows_by_kind(slices: Sequence[SliceStanding]) -> dict[FileKind, int]:
    """Return how many rows the snapshots held, by kind of file."""
    rows: dict[FileKind, int] = {}
    for each in slices:
        rows[each.kind] = rows.get(each.kind, 0) + (each.rows_expected or 0)
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestFacts:
    """What a manifest says beside its files."""

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    slot: datetime
    window: Window
    counted: Mapping[FileKind, int]
    recipients: Sequence[str]
    data_complete_through: datetime | None


def manifest(
    facts: ManifestFacts, files: Sequence[ExportedFile], parts: Sequence[FinishedPart], settings: JobSettings
) -> dict[str, Any]:
    """Return the content of `manifest.json` (P5): written last, the commit point of a run.

    `parts` are those that the files are of, in the same order. More than one snapshot says that the run was taken over.
    """
    return {
        "manifest_version": 1,
        "schema_version": SCHEMA_VERSION,
        "run": str(facts.run_id),
        "job": str(facts.job_id),
        "tenant": str(facts.tenant_id),
        "title": settings.title,
        "type": settings.type,
        "slot": _text(facts.slot),
        "window": {"start": _text(facts.window.start), "end": _text(facts.window.end)},
        "data_complete_through": _text(facts.data_complete_through),
        "snapshot_rows": dict(facts.counted),
        "snapshots": list(dict.fromkeys(part.snapshot for part in parts)),
        "recipients": list(facts.recipients),
        "cipher": settings.cipher,
        "files": [
            {
                "name": file.name,
                "kind": file.kind,
                "part": file.part,
                "rows": file.rows,
                "bytes_raw": file.bytes_raw,
                "bytes_packed": file.bytes_packed,
                "sha256": file.sha256,
                "snapshot": part.snapshot,
            }
            for file, part in zip(files, parts, strict=True)
        ],
    }


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")
