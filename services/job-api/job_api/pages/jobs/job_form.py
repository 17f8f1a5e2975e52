"""What somebody typed into the editor of jobs: kept as text so that nothing is lost, and read into a draft."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, cast, get_args
from uuid import UUID

from job_api.domain import Draft, ScheduleDraft
from job_api.errors import Fault
from job_api.pages.kit.forms import Form
from shared.events import Timeframe
from shared.events.values import (
    CatchUp,
    Cipher,
    Compression,
    Overlap,
    RecordType,
    ScheduleKind,
    TimeframeKind,
    TimeUnit,
)

BLANK = {
    "title": "",
    "description": "",
    "source": "contact_history",
    "type": "interaction",
    "all_media": "yes",
    "kind": "daily",
    "every": "1",
    "begin": "at",
    "start": "",
    "timeframe": "all",
    "last_count": "1",
    "last_unit": "days",
    "window_start": "",
    "window_end": "",
    "split": "one",
    "split_number": "1",
    "split_unit": "GiB",
    "recipients": "active",
    "compression": "fast",
    "cipher": "aes-256-cbc",
    "catch_up": "last",
    "overlap": "skip",
    "attempts": "5",
}
UNITS = {"MiB": 1 << 20, "GiB": 1 << 30}
_FIELDS = {
    "media_types": "media",
    "schedule.kind": "kind",
    "schedule.every": "every",
    "schedule.start": "start",
    "timeframe.kind": "timeframe",
    "timeframe.start": "window_start",
    "timeframe.end": "window_end",
    "timeframe.count": "last_count",
    "timeframe.unit": "last_unit",
    "split_size": "split_number",
}
"""Where on the page a field of a job stands, if it is not called the same there."""
_WHOLE = re.compile(r"\d{1,18}")
_INSTANT = "a date and a time are needed, such as 2026-11-24 10:00"
Word = TypeVar("Word")


@dataclass(frozen=True)
class Typed:
    """The editor's fields as text, and the boxes that are ticked."""

    values: Mapping[str, str]
    media: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()

    @classmethod
    def blank(cls) -> "Typed":
        """Return an empty editor."""
        return cls(BLANK)

    @classmethod
    def of_form(cls, form: Form) -> "Typed":
        """Return what a form brings; a box that is not ticked is not sent."""
        values = {name: form.get(name, "" if name == "all_media" else otherwise) for name, otherwise in BLANK.items()}
        return cls(values, form.all("media"), form.all("certificates"))

    @classmethod
    def of_draft(cls, draft: Draft) -> "Typed":
        """Return the editor filled with what a job holds."""
        schedule, timeframe = draft.schedule, draft.timeframe
        number, unit = _size(draft.split_size)
        values = BLANK | {
            "title": draft.title,
            "description": draft.description,
            "source": draft.source,
            "type": draft.type,
            "all_media": "yes" if draft.media_types is None else "",
            "kind": schedule.kind,
            "every": str(schedule.every or 1),
            "begin": "now" if schedule.immediately else "at",
            "start": "" if schedule.immediately else _local(schedule.start),
            "timeframe": timeframe.kind,
            "window_start": _local(timeframe.start),
            "window_end": _local(timeframe.end),
            "split": "one" if draft.split_size is None else "parts",
            "split_number": number,
            "split_unit": unit,
            "recipients": "active" if draft.certificates is None else "chosen",
            "compression": draft.compression,
            "cipher": draft.cipher,
            "catch_up": draft.catch_up,
            "overlap": draft.overlap,
            "attempts": str(draft.attempts),
        }
        if timeframe.count is not None and timeframe.unit is not None:
            values |= {"last_count": str(timeframe.count), "last_unit": timeframe.unit}
        return cls(values, draft.media_types or (), tuple(str(each) for each in draft.certificates or ()))


def read(typed: Typed) -> tuple[Draft, dict[str, str]]:
    """Return the draft that was typed, and what of it cannot be read: the rules have the word on the rest."""
    reader = _Reader(typed.values)
    kind: ScheduleKind = reader.word("kind", ScheduleKind, "daily")
    timeframe: TimeframeKind = reader.word("timeframe", TimeframeKind, "all")
    record: RecordType = reader.word("type", RecordType, "interaction")
    at = reader.word("begin", Literal["now", "at"], "at") == "at"
    chosen = typed.values["recipients"] == "chosen"
    draft = Draft(
        title=typed.values["title"],
        description=typed.values["description"],
        source=typed.values["source"],
        type=record,
        media_types=None if record == "contact" or typed.values["all_media"] else typed.media,
        schedule=ScheduleDraft(
            kind=kind,
            start=reader.instant("start") if at else None,
            immediately=not at,
            every=None if kind == "once" else reader.whole("every"),
        ),
        timeframe=Timeframe(
            kind=timeframe,
            start=reader.instant("window_start") if timeframe == "fixed" else None,
            end=reader.instant("window_end") if timeframe == "fixed" else None,
            count=reader.whole("last_count") if timeframe == "last" else None,
            unit=reader.word("last_unit", TimeUnit, "days") if timeframe == "last" else None,
        ),
        split_size=reader.size() if typed.values["split"] == "parts" else None,
        certificates=reader.ids(typed.certificates) if chosen else None,
        compression=reader.word("compression", Compression, "fast"),
        cipher=reader.word("cipher", Cipher, "aes-256-cbc"),
        catch_up=reader.word("catch_up", CatchUp, "last"),
        overlap=reader.word("overlap", Overlap, "skip"),
        attempts=reader.whole("attempts"),
    )
    return draft, reader.faults


def placed(faults: tuple[Fault, ...]) -> dict[str, str]:
    """Return faults by where they stand on the page, each a sentence."""
    found: dict[str, str] = {}
    for fault in faults:
        field = fault.field.partition(".")[0] if fault.field.startswith("certificates") else fault.field
        name, words = _FIELDS.get(field, field), fault.message[:1].upper() + fault.message[1:]
        found[name] = f"{found[name]}; {fault.message}" if name in found else words
    return found


class _Reader:
    """Reads text; what it cannot read it notes, and puts something harmless in its place."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.faults: dict[str, str] = {}

    def word(self, name: str, words: Any, otherwise: Word) -> Word:
        """Return one of the words of a Literal."""
        if self._values[name] in get_args(words):
            return cast("Word", self._values[name])
        self.faults[name] = "Choose one of these."
        return otherwise

    def whole(self, name: str) -> int:
        """Return a number without a fraction."""
        text = self._values[name].strip()
        if _WHOLE.fullmatch(text):
            return int(text)
        self.faults[name] = "A whole number is needed."
        return 1

    def size(self) -> int:
        """Return a number of bytes, typed with its unit; a fraction is fine."""
        try:
            return int(float(self._values["split_number"].replace(",", ".")) * UNITS[self._values["split_unit"]])
        except (ValueError, KeyError, OverflowError):
            self.faults["split_number"] = "A number is needed, such as 1 or 0.5."
            return UNITS["GiB"]

    def instant(self, name: str) -> datetime | None:
        """Return a date and time in UTC, as browsers send it or as people type it; None where nothing was typed."""
        text = self._values[name].strip().upper().removesuffix("UTC").removesuffix("Z").strip()
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or found.tzinfo is not None or len(text) < len("2026-11-24T10:00"):
            self.faults[name] = f"This cannot be read: {_INSTANT}, in UTC."
            return datetime(2000, 1, 1, tzinfo=UTC)
        return found.replace(tzinfo=UTC)

    def ids(self, texts: tuple[str, ...]) -> tuple[UUID, ...]:
        """Return ids, leaving out what is none."""
        try:
            return tuple(UUID(text) for text in texts)
        except ValueError:
            self.faults["certificates"] = "Choose certificates of this list."
            return ()


def _local(instant: datetime | None) -> str:
    # What the browser's field for dates and times takes: no zone, which is UTC on our pages.
    if instant is None:
        return ""
    text = instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    return text.removesuffix(":00")


def _size(size: int | None) -> tuple[str, str]:
    if size is None:
        return BLANK["split_number"], BLANK["split_unit"]
    unit = "GiB" if size >= UNITS["GiB"] else "MiB"
    # All digits that there are, so that what was not touched is saved as it was.
    return f"{size / UNITS[unit]!r}".removesuffix(".0"), unit
