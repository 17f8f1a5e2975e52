"""What becomes of a trigger, a run and a failure: pure, time is an argument."""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from shared.events import ExportedFile, JobSettings, SlotTriggered, Window
from shared.events.values import FileKind, Timeframe

Admission = Literal["queued", "skipped", "cancelled"]
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
    """A part that is stored; `token` is the claim that made it."""

    kind: FileKind
    number: int
    token: int
    name: str
    object: str
    rows: int
    bytes_raw: int
    bytes_packed: int
    sha256: str


def files_of(parts: Sequence[FinishedPart], settings: JobSettings) -> tuple[ExportedFile, ...]:
    """Return the finished parts as files of the run."""
    return tuple(
        ExportedFile(
            name=part.name,
            kind=part.kind,
            part=part.number if settings.split_size is not None else None,
            rows=part.rows,
            bytes_raw=part.bytes_raw,
            bytes_packed=part.bytes_packed,
            sha256=part.sha256,
            object=part.object,
        )
        for part in parts
    )


def missing_rows(parts: Sequence[FinishedPart], counted: Mapping[FileKind, int]) -> str | None:
    """Return in words where the parts do not add up to what the snapshot held (P5), or None where they do."""
    written = {kind: sum(part.rows for part in parts if part.kind == kind) for kind in counted}
    faults = [f"{kind}: {written[kind]} of {rows}" for kind, rows in counted.items() if written[kind] != rows]
    return "The files do not hold the rows that the snapshot held: " + ", ".join(faults) if faults else None


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


def manifest(facts: ManifestFacts, files: Sequence[ExportedFile], settings: JobSettings) -> dict[str, Any]:
    """Return the content of `manifest.json` (P5): written last, the commit point of a run."""
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
            }
            for file in files
        ],
    }


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat().replace("+00:00", "Z")
