"""The messages between an exporter and its worker process: one JSON object a line, through the worker's pipes.

The exporter sends one RunOrder, then one SliceOrder at a time. The worker answers the first with SourceOpened (and
SlicesPlanned, where requested), each of the others with any number of PartStored and then SliceDone. In between it
reports progress, and that it is alive. WorkerFailure is always its last message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import Discriminator, TypeAdapter

from exporter.domain.slicing import PlannedSlice
from shared.events import JobSettings, Window
from shared.events.values import FileKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrder:
    """The run to work on. Sent through the pipe, not as arguments or environment, because addresses contain passwords.

    `join` names the coordinator's snapshot, for helpers. `slice_rows` is the least number of rows worth a slice, or
    None where the run is not to be planned. `source_stall` is how long the source may give no sign of life, `position`
    where its write-ahead log must have arrived. `is_native` says whether the worker builds the records' JSON, or the
    source's server.
    """

    run_id: UUID
    job_id: UUID
    slot: datetime
    settings: JobSettings
    window: Window
    certificates: tuple[str, ...]
    source: str
    store: str
    join: str | None
    slice_rows: int | None
    source_stall: timedelta
    position: str | None = None
    is_native: bool = False
    store_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceOrder:
    """The slice to export next: ids from `first` up to, but not including, `before`, without those up to `after`.

    `finished_parts` of it are stored already. `counted` is the number of the remaining rows, where it is known.
    """

    kind: FileKind
    number: int
    folder: str
    first: str | None
    before: str | None
    after: str | None
    finished_parts: int
    counted: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOpened:
    """The source is open in a snapshot that others can join; `estimated` is the planner's row estimate by kind."""

    type: Literal["opened"] = "opened"
    snapshot: str
    estimated: Mapping[FileKind, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicesPlanned:
    """The run's slices."""

    type: Literal["planned"] = "planned"
    slices: tuple[PlannedSlice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsCounted:
    """The exact number of rows in the snapshot, for the kinds that have a single slice."""

    type: Literal["counted"] = "counted"
    rows: Mapping[FileKind, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceProgressed:
    """How far the current slice has come since its order: rows and uncompressed bytes."""

    type: Literal["progressed"] = "progressed"
    rows: int
    bytes_raw: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStored:
    """A part of the current slice is in the object store; `number` counts within the slice."""

    type: Literal["part"] = "part"
    number: int
    object: str
    rows: int
    bytes_raw: int
    bytes_packed: int
    sha256: str
    last_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceDone:
    """All parts of the slice are stored; `counted` is the number of ordered rows in the snapshot."""

    type: Literal["done"] = "done"
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerFailure:
    """The worker cannot continue, and ends; the fields are those of an ExportError."""

    type: Literal["failed"] = "failed"
    code: str
    message: str
    transient: bool
    patient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerAlive:
    """The worker runs; sent every few seconds, whatever else it does."""

    type: Literal["alive"] = "alive"


WorkerReport: TypeAlias = SourceOpened | SlicesPlanned | RowsCounted | SliceProgressed | PartStored | SliceDone
"""Every message but the last one of a worker that fails."""
WorkerMessage: TypeAlias = WorkerReport | WorkerAlive | WorkerFailure

RUN_ORDER = TypeAdapter(RunOrder)
SLICE_ORDER = TypeAdapter(SliceOrder)
WORKER_MESSAGE: TypeAdapter[WorkerMessage] = TypeAdapter(Annotated[WorkerMessage, Discriminator("type")])
