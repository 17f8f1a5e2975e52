"""What a run reads from the source (rules E3, E8, T1 to T3)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RecordKind(StrEnum):
    """The kinds of record, named as in the files' names."""

    INTERACTION = "Interaction"
    ATTACHMENT = "Interaction-Attachment"
    CONTACT = "Contact"


class WindowColumn(StrEnum):
    """The instants a window can be about."""

    START = "start_date"
    CREATED = "created_date"
    MODIFIED = "modified_date"


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open: start <= column < end; None is unbounded. Instants are aware."""

    column: WindowColumn
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyRange:
    """A slice of the kind's own ids in "C" order, half-open, without those up to `after`; None is unbounded."""

    first: str | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The records of one kind that a run exports: always one tenant's. For attachments, window and media types are the
    interactions'.
    """

    kind: RecordKind
    source_tenant: int
    media_types: tuple[str, ...] | None = None
    window: Window | None = None
    keys: KeyRange | None = None

    def __post_init__(self) -> None:
        if self.kind is RecordKind.CONTACT and self.media_types is not None:
            raise ValueError("contacts have no media type")
        unfit = WindowColumn.START if self.kind is RecordKind.CONTACT else WindowColumn.CREATED
        if self.window is not None and self.window.column is unfit:
            raise ValueError(f"{self.kind} records have no {unfit}")
