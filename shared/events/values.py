"""The words that events are made of: schedules, time frames, frozen settings of a run."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

ScheduleKind = Literal["once", "hourly", "daily", "weekly", "monthly"]
TimeframeKind = Literal["all", "fixed", "last", "since_last_run"]
TimeUnit = Literal["hours", "days", "weeks", "months"]
RecordType = Literal["interaction", "contact"]
FileKind = Literal["interaction", "interaction-attachment", "contact"]
JobState = Literal["active", "suspended"]
CatchUp = Literal["last", "all", "none"]
Overlap = Literal["skip", "queue"]
Compression = Literal["fast", "small"]
Cipher = Literal["aes-256-cbc", "aes-256-gcm"]
SlotCause = Literal["schedule", "immediate", "catch-up", "run-now"]
SlotSkipReason = Literal["suspended", "overlap", "missed", "ended"]
RunState = Literal["queued", "running", "succeeded", "failed", "cancelled", "skipped"]
Phase = Literal["count", "export", "package", "store"]
Role = Literal["admin", "operator", "downloader", "viewer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a job is due, in UTC.

    `start` is the instant that the grid hangs on (S3): the start asked for, or, when the job starts `immediately`,
    the instant at which it was saved. `every` counts hours, days, weeks or months; `once` ignores it.
    """

    kind: ScheduleKind
    start: datetime
    immediately: bool = False
    every: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeframe:
    """Which records a run takes: `fixed` has start and end (half-open), `last` has count and unit."""

    kind: TimeframeKind = "all"
    start: datetime | None = None
    end: datetime | None = None
    count: int | None = None
    unit: TimeUnit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Half-open bounds of a run's records, start <= x < end; None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """What a run needs to know of its job; frozen into the trigger, so that an edit never touches a run under way.

    `media_types` None means all; `split_size` None means one single file, else bytes of uncompressed records;
    `certificates` None means the tenant's active ones when the run starts. `source_tenant` is the number that the
    tenant's rows bear in the source.
    """

    title: str
    source: str
    type: RecordType
    source_tenant: int
    timeframe: Timeframe
    media_types: tuple[str, ...] | None = None
    split_size: int | None = None
    certificates: tuple[UUID, ...] | None = None
    compression: Compression = "fast"
    cipher: Cipher = "aes-256-cbc"
    attempts: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One finished file of a run: sizes in bytes, `sha256` (hex) of the packed file, `part` None in an unsplit set."""

    name: str
    kind: FileKind
    part: int | None
    rows: int
    bytes_raw: int
    bytes_packed: int
    sha256: str
    object: str
