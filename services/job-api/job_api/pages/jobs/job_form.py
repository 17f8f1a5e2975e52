"""The form of the editor: its fields as text, so that nothing typed is lost, and how they are parsed into a draft."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar, cast, get_args
from uuid import UUID

from pydantic_core import to_json

from job_api.bodies.drafts import JobDraft
from job_api.domain import Draft, ScheduleDraft
from job_api.errors import FieldFault
from job_api.pages.jobs import delivery_fields
from job_api.pages.kit.formats import capitalize
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
from shared.http.untrusted import decode_json

FIELD_LABELS = {
    "title": "Title",
    "description": "Description",
    "source": "Source",
    "type": "Type",
    "all_media": "All media types",
    "media": "Media types",
    "kind": "Run",
    "every": "Every",
    "begin": "Start",
    "start": "Start at",
    "timeframe": "Export timeframe",
    "last_count": "Last",
    "last_unit": "Unit of time",
    "fixed_start": "Start of the interval",
    "fixed_end": "End of the interval",
    "split": "File split size",
    "split_number": "Maximum size of each file",
    "split_unit": "Unit of size",
    "recipients": "Encrypt for",
    "certificates": "Certificates",
    "compression": "Compression",
    "cipher": "Encryption",
    "catch_up": "After an outage",
    "overlap": "If the previous run is still in progress",
    "attempts": "Attempts",
    **delivery_fields.LABELS,
    "kept": "Filter",
}
"""What the editor calls its fields where their own labels cannot be seen: in lists of errors and of changes."""
BLANK_VALUES = {
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
    "fixed_start": "",
    "fixed_end": "",
    "split": "none",
    "split_number": "1",
    "split_unit": "GiB",
    "recipients": "active",
    "compression": "fast",
    "cipher": "aes-256-cbc",
    "catch_up": "last",
    "overlap": "skip",
    "attempts": "5",
    **delivery_fields.BLANK,
    "kept": "",
}
BYTES_PER_UNIT = {"MiB": 1 << 20, "GiB": 1 << 30}
_FORM_FIELDS = {
    "media_types": "media",
    "schedule.kind": "kind",
    "schedule.every": "every",
    "schedule.start": "start",
    "timeframe.kind": "timeframe",
    "timeframe.start": "fixed_start",
    "timeframe.end": "fixed_end",
    "timeframe.count": "last_count",
    "timeframe.unit": "last_unit",
    "split_size": "split_number",
    **delivery_fields.FORM_FIELDS,
}
"""The form's field for a field of a job, where the two names differ."""
_WHOLE_NUMBER = re.compile(r"\d{1,18}")
_KEPT_MAX = 60_000
_SHORTEST_INSTANT = len("2026-11-24T10:00")
Choice = TypeVar("Choice")


@dataclass(frozen=True)
class JobForm:
    """The values of the editor's fields as text, and the boxes that are ticked."""

    values: Mapping[str, str]
    media: tuple[str, ...] = ()
    certificates: tuple[str, ...] = ()

    @classmethod
    def create_blank(cls) -> "JobForm":
        """Return the form of a new job."""
        return cls(BLANK_VALUES)

    @classmethod
    def from_submission(cls, form: Form, *, prefix: str = "") -> "JobForm":
        """Return the form as it was submitted, in fields whose names begin with `prefix`.

        A box that is not ticked is not submitted.
        """
        # Absent means unticked for this one box, and the default for every other field.
        defaults = BLANK_VALUES | {"all_media": ""}
        values = {name: form.get(prefix + name, default) for name, default in defaults.items()}
        values["destinations"] = " ".join(form.get_all(f"{prefix}destinations"))
        return cls(values, form.get_all(f"{prefix}media"), form.get_all(f"{prefix}certificates"))

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "JobForm":
        """Return the form that `to_document` has described."""
        # A draft of an earlier release has no value for a field that was added since.
        return cls(BLANK_VALUES | document["values"], tuple(document["media"]), tuple(document["certificates"]))

    def to_document(self) -> dict[str, Any]:
        """Return the form as JSON, for a draft."""
        return {"values": dict(self.values), "media": self.media, "certificates": self.certificates}

    def to_fields(self, prefix: str) -> list[tuple[str, str]]:
        """Return the form as fields whose names begin with `prefix`."""
        fields = [(prefix + name, value) for name, value in self.values.items()]
        fields += [(f"{prefix}media", value) for value in self.media]
        return fields + [(f"{prefix}certificates", value) for value in self.certificates]

    @classmethod
    def from_draft(cls, draft: Draft) -> "JobForm":
        """Return the form filled with the settings of a job."""
        schedule, timeframe = draft.schedule, draft.timeframe
        number, unit = _split_size_fields(draft.split_size)
        values = BLANK_VALUES | {
            "title": draft.title,
            "description": draft.description,
            "source": draft.source,
            "type": draft.type,
            "all_media": "yes" if draft.media_types is None else "",
            "kind": schedule.kind,
            "every": str(schedule.every or 1),
            "begin": "now" if schedule.immediately else "at",
            "start": "" if schedule.immediately else _to_field(schedule.start),
            "timeframe": timeframe.kind,
            "fixed_start": _to_field(timeframe.start),
            "fixed_end": _to_field(timeframe.end),
            "split": "none" if draft.split_size is None else "size",
            "split_number": number,
            "split_unit": unit,
            "recipients": "active" if draft.certificates is None else "selected",
            "compression": draft.compression,
            "cipher": draft.cipher,
            "catch_up": draft.catch_up,
            "overlap": draft.overlap,
            "attempts": str(draft.attempts),
            **delivery_fields.to_values(draft.delivery),
            "kept": _to_kept(draft),
        }
        if timeframe.count is not None and timeframe.unit is not None:
            values |= {"last_count": str(timeframe.count), "last_unit": timeframe.unit}
        return cls(values, draft.media_types or (), tuple(str(each) for each in draft.certificates or ()))


def parse_draft(form: JobForm) -> tuple[Draft, dict[str, str]]:
    """Return the draft of a job, and an error for each field that cannot be parsed; the domain judges the rest."""
    parser = _FieldParser(form.values)
    kind: ScheduleKind = parser.parse_choice("kind", ScheduleKind, default="daily")
    timeframe: TimeframeKind = parser.parse_choice("timeframe", TimeframeKind, default="all")
    record: RecordType = parser.parse_choice("type", RecordType, default="interaction")
    at = parser.parse_choice("begin", Literal["now", "at"], default="at") == "at"
    selected = form.values["recipients"] == "selected"
    draft = Draft(
        title=form.values["title"],
        description=form.values["description"],
        source=form.values["source"],
        type=record,
        media_types=None if record == "contact" or form.values["all_media"] else form.media,
        schedule=ScheduleDraft(
            kind=kind,
            start=parser.parse_instant("start") if at else None,
            immediately=not at,
            every=None if kind == "once" else parser.parse_whole_number("every"),
        ),
        timeframe=parser.parse_timeframe(timeframe),
        split_size=parser.parse_split_size() if form.values["split"] == "size" else None,
        certificates=parser.parse_certificates(form.certificates) if selected else None,
        compression=parser.parse_choice("compression", Compression, default="fast"),
        cipher=parser.parse_choice("cipher", Cipher, default="aes-256-cbc"),
        catch_up=parser.parse_choice("catch_up", CatchUp, default="last"),
        overlap=parser.parse_choice("overlap", Overlap, default="skip"),
        attempts=parser.parse_whole_number("attempts"),
        delivery=delivery_fields.parse_delivery(form.values, parser.errors),
        **parser.parse_kept(record),
    )
    return draft, parser.errors


def to_form_errors(faults: tuple[FieldFault, ...]) -> dict[str, str]:
    """Return the errors of a job's fields by the form's fields, each as a sentence."""
    errors: dict[str, str] = {}
    for fault in faults:
        field = fault.field.partition(".")[0] if fault.field.startswith("certificates") else fault.field
        field = "delivery.destinations" if fault.field.startswith("delivery.destinations") else field
        name = _FORM_FIELDS.get(field, field)
        errors[name] = f"{errors[name]}; {fault.message}" if name in errors else capitalize(fault.message)
    return errors


class _FieldParser:
    """Parses text fields; for one that it cannot parse it notes an error and returns a harmless value."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.errors: dict[str, str] = {}

    def parse_choice(self, name: str, choices: Any, *, default: Choice) -> Choice:
        """Return one of the members of a Literal type."""
        if self._values[name] in get_args(choices):
            return cast("Choice", self._values[name])
        self.errors[name] = "Choose one of these."
        return default

    def parse_whole_number(self, name: str) -> int:
        """Return a number without a fraction."""
        text = self._values[name].strip()
        if _WHOLE_NUMBER.fullmatch(text):
            return int(text)
        self.errors[name] = "Enter a whole number."
        return 1

    def parse_split_size(self) -> int:
        """Return a number of bytes from a number, fractions included, and its unit."""
        try:
            number = float(self._values["split_number"].replace(",", "."))
            return int(number * BYTES_PER_UNIT[self._values["split_unit"]])
        except (ValueError, KeyError, OverflowError):
            self.errors["split_number"] = "Enter a number, such as 1 or 0.5."
            return BYTES_PER_UNIT["GiB"]

    def parse_instant(self, name: str) -> datetime | None:
        """Return a date and time in UTC, as browsers send it or as people type it; None for an empty field."""
        text = self._values[name].strip().upper().removesuffix("UTC").removesuffix("Z").strip()
        if not text:
            return None
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            found = None
        if found is None or found.tzinfo is not None or len(text) < _SHORTEST_INSTANT:
            self.errors[name] = "Enter a date and time in UTC, such as 2026-11-24 10:00."
            return datetime(2000, 1, 1, tzinfo=UTC)
        return found.replace(tzinfo=UTC)

    def parse_timeframe(self, kind: TimeframeKind) -> Timeframe:
        """Return the timeframe, from the fields that its kind uses."""
        return Timeframe(
            kind=kind,
            start=self.parse_instant("fixed_start") if kind == "fixed" else None,
            end=self.parse_instant("fixed_end") if kind == "fixed" else None,
            count=self.parse_whole_number("last_count") if kind == "last" else None,
            unit=self.parse_choice("last_unit", TimeUnit, default="days") if kind == "last" else None,
        )

    def parse_kept(self, record: RecordType) -> dict[str, Any]:
        """Return the settings that the editor has no fields for: they are those that it was opened with."""
        if not self._values["kept"]:
            return {}
        blank = {"title": "-", "source": "-", "type": record, "schedule": {"kind": "once", "immediately": True}}
        try:
            found = JobDraft.model_validate({**decode_json(self._values["kept"], limit=_KEPT_MAX), **blank}).to_domain()
        except (ValueError, TypeError):
            self.errors["kept"] = "Open the editor again: these settings cannot be read."
            return {}
        return {"filter": found.filter}

    def parse_certificates(self, ids: tuple[str, ...]) -> tuple[UUID, ...]:
        """Return the ids of certificates."""
        try:
            return tuple(UUID(text) for text in ids)
        except ValueError:
            self.errors["certificates"] = "Select certificates from this list."
            return ()


def _to_kept(draft: Draft) -> str:
    # What the editor has no fields for is neither lost by a change nor by a clone.
    found = {"filter": draft.filter}
    return to_json({name: value for name, value in found.items() if value}).decode() if any(found.values()) else ""


def _to_field(instant: datetime | None) -> str:
    # What a browser's field for dates and times accepts: no zone, which means UTC on our pages.
    if instant is None:
        return ""
    text = instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    return text.removesuffix(":00")


def _split_size_fields(size: int | None) -> tuple[str, str]:
    if size is None:
        return BLANK_VALUES["split_number"], BLANK_VALUES["split_unit"]
    unit = "GiB" if size >= BYTES_PER_UNIT["GiB"] else "MiB"
    # With every digit, so that saving an untouched field changes nothing.
    return f"{size / BYTES_PER_UNIT[unit]!r}".removesuffix(".0"), unit
