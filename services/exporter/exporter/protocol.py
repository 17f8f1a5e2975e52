"""What an exporter and its worker process say to each other: one JSON object a line, over the worker's pipes."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import TypeAdapter

from shared.events import JobSettings, Window
from shared.events.values import FileKind, Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to export. Addresses hold passwords, so an order goes through the pipe: no argument, no environment."""

    run_id: UUID
    job_id: UUID
    slot: datetime
    folder: str
    settings: JobSettings
    window: Window
    certificates: tuple[str, ...]
    source: str
    store: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the worker is: rows and uncompressed bytes."""

    kind: Literal["progress"] = "progress"
    phase: Phase
    units_done: int
    units_total: int | None
    total_exact: bool
    bytes_done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PartStored:
    """A part is in the store."""

    kind: Literal["part"] = "part"
    file_kind: FileKind
    number: int
    name: str
    object: str
    rows: int
    bytes_raw: int
    bytes_packed: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """All parts are stored; `counted` is what the snapshot held, by kind of file."""

    kind: Literal["done"] = "done"
    counted: dict[FileKind, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The worker cannot go on."""

    kind: Literal["failed"] = "failed"
    code: str
    message: str
    transient: bool


Said = Progress | PartStored | Done | Failed
ORDER = TypeAdapter(Order)
SAID: TypeAdapter[Said] = TypeAdapter(Said)
