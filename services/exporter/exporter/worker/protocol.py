"""What an exporter and its worker process say to each other: one JSON object a line, over the worker's pipes.

The exporter sends one Order, then a SliceOrder at a time. The worker answers the first with Opened (and Planned, where
that was asked for), each other with any number of PartStored and then SliceDone. In between it says how far it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import TypeAdapter

from exporter.domain.slicing import PlannedSlice
from shared.events import JobSettings, Window
from shared.events.values import FileKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What run to work on. Addresses hold passwords, so an order goes through the pipe: no argument, no environment.

    `join` names the coordinator's snapshot, for its helpers; `slice_rows`, where the run is to be planned, the least
    rows worth a slice; `is_native`, whether records are made by the worker and not by the source's server.
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
    is_native: bool = False
    store_options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceOrder:
    """What to export next: ids from `first` up to, not including, `before`, without those up to `after`.

    `kept` parts of it are finished. `counted` is what the snapshot holds of the rest, where that is known.
    """

    kind: FileKind
    number: int
    folder: str
    first: str | None
    before: str | None
    after: str | None
    kept: int
    counted: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """The source is open under a snapshot that others can join; the planner's estimate of the rows, by kind."""

    said: Literal["opened"] = "opened"
    snapshot: str
    estimated: Mapping[FileKind, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The run's slices."""

    said: Literal["planned"] = "planned"
    slices: tuple[PlannedSlice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the snapshot holds of the kinds that are one slice each."""

    said: Literal["counted"] = "counted"
    rows: Mapping[FileKind, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceProgressed:
    """How far the slice under way is, since its order: rows and uncompressed bytes."""

    said: Literal["progressed"] = "progressed"
    rows: int
    bytes_raw: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStored:
    """A part of the slice under way is in the store; `number` counts within the slice."""

    said: Literal["part"] = "part"
    number: int
    object: str
    rows: int
    bytes_raw: int
    bytes_packed: int
    sha256: str
    last_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceDone:
    """All parts of the slice are stored; `counted` is what the snapshot held of what was ordered."""

    said: Literal["done"] = "done"
    counted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The worker cannot go on."""

    said: Literal["failed"] = "failed"
    code: str
    message: str
    transient: bool


Said = Opened | Planned | Counted | SliceProgressed | PartStored | SliceDone | Failed
ORDER = TypeAdapter(Order)
SLICE_ORDER = TypeAdapter(SliceOrder)
SAID: TypeAdapter[Said] = TypeAdapter(Said)
