"""What a run reads from the source (rules E3, E8, T1 to T3)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.events.values import FileKind, FilterCondition


class WindowColumn(StrEnum):
    """The columns to which a window can apply."""

    START = "start_date"
    CREATED = "created_date"
    MODIFIED = "modified_date"


@dataclass(frozen=True, slots=True)
class SelectedWindow:
    """A half-open window on a column: start <= column < end; None is unbounded. Instants are aware."""

    column: WindowColumn
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Ids in "C" order: `first` <= id < `before`, and `after` < id; None is unbounded."""

    first: str | None = None
    before: str | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """The records of one kind that a run exports, always of a single tenant.

    For attachments, `window`, `media_types` and `conditions` apply to their interactions. Raises ValueError for a
    combination that the kind does not have.
    """

    kind: FileKind
    source_tenant: int
    media_types: tuple[str, ...] | None = None
    window: SelectedWindow | None = None
    keys: KeyRange | None = None
    conditions: tuple[FilterCondition, ...] = ()

    def __post_init__(self) -> None:
        if self.kind == "contact" and self.media_types is not None:
            raise ValueError("contacts have no media type")
        missing = WindowColumn.START if self.kind == "contact" else WindowColumn.CREATED
        if self.window is not None and self.window.column is missing:
            raise ValueError(f"{self.kind} records have no {missing}")
