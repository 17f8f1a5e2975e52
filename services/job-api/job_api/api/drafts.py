"""Bodies that people send for jobs. Unknown fields are refused with their names; instants must say their offset."""

import re
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from job_api import domain
from job_api.domain.drafts import ATTEMPTS_MOST, SPLIT_LEAST, SPLIT_MOST
from job_api.errors import Fault, Invalid
from shared.events import Schedule, Timeframe
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

BIG = 2**63 - 1
_DATED = re.compile(r"\d{4}-\d{2}-\d{2}")


def dated(value: object) -> object:
    """Refuse what does not begin with a date: a number, or one as text, would be taken as seconds since 1970."""
    if not (isinstance(value, datetime) or (isinstance(value, str) and _DATED.match(value))):
        raise ValueError("give a date and time as text, as in 2026-11-24T10:00:00Z")
    return value


Instant = Annotated[datetime, BeforeValidator(dated), Field(examples=["2027-01-04T06:00:00Z"])]
"""RFC 3339 with an offset; that there is one is a rule of the domain (S6)."""


Whole = Annotated[int, Field(strict=True, ge=-BIG, le=BIG)]
"""A number without a fraction; which numbers are good is a rule of the domain."""


MediaType = Annotated[str, Field(max_length=200)]


class Body(BaseModel):
    """What somebody sends."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ScheduleBody(Body):
    """When a job is due, in UTC: at once (`immediately`) or from `start`, and how often again."""

    kind: ScheduleKind
    every: Whole | None = Field(default=None, description="hours (1 to 24), days, weeks or months; default 1")
    immediately: bool = Field(default=False, strict=True, description="start now; `start` is then left out")
    start: Instant | None = Field(default=None, description="the first instant, with its offset from UTC")


class TimeframeBody(Body):
    """Which records a run takes, by their date: half-open, start <= x < end."""

    kind: TimeframeKind = "all"
    start: Instant | None = Field(default=None, description="for `fixed`")
    end: Instant | None = Field(default=None, description="for `fixed`")
    count: Whole | None = Field(default=None, description="for `last`: how many units before the slot")
    unit: TimeUnit | None = Field(default=None, description="for `last`")


DRAFT_EXAMPLE: dict[str, Any] = {
    "title": "Nightly e-mail and chat",
    "description": "For the data warehouse",
    "source": "contact_history",
    "type": "interaction",
    "media_types": ["email", "chat"],
    "schedule": {"kind": "daily", "every": 1, "start": "2027-01-04T06:00:00Z"},
    "timeframe": {"kind": "since_last_run"},
    "split_size": 1073741824,
}
ONCE_EXAMPLE: dict[str, Any] = {
    "title": "Everything, now",
    "source": "contact_history",
    "type": "interaction",
    "schedule": {"kind": "once", "immediately": True},
}


class JobDraft(Body):
    """A job as somebody asks for it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [DRAFT_EXAMPLE, ONCE_EXAMPLE]}
    )

    title: str = Field(
        max_length=1_000,
        description="1 to 200 characters, not counting spaces around them",
        json_schema_extra={"minLength": 1},
    )
    description: str = Field(default="", max_length=20_000, description="2,000 characters at most")
    source: str = Field(max_length=100, description="as `GET /api/v1/sources` lists them", examples=["contact_history"])
    type: RecordType
    media_types: tuple[MediaType, ...] | None = Field(default=None, max_length=100, description="null means all")
    schedule: ScheduleBody
    timeframe: TimeframeBody = Field(default_factory=TimeframeBody)
    split_size: Whole | None = Field(
        default=None,
        description="bytes of uncompressed records a file, 1 MiB or more; null makes one file",
        json_schema_extra={"minimum": SPLIT_LEAST, "maximum": SPLIT_MOST},
    )
    certificates: tuple[UUID, ...] | None = Field(
        None, max_length=100, description="recipients' certificates; null means those that are active when a run starts"
    )
    compression: Compression = Field("fast", description="`small` takes longer and makes smaller files")
    cipher: Cipher = Field("aes-256-cbc", description="`aes-256-gcm` opens with `openssl cms` only")
    catch_up: CatchUp = Field("last", description="which slots run that were missed while no scheduler ran")
    overlap: Overlap = Field("skip", description="what becomes of a slot while the run before is in progress")
    attempts: Whole = Field(
        default=5,
        description="how often a run is tried, 1 to 20",
        json_schema_extra={"minimum": 1, "maximum": ATTEMPTS_MOST},
    )

    def to_domain(self) -> domain.Draft:
        """Return the draft for the rules to judge."""
        return domain.Draft(
            title=self.title,
            description=self.description,
            source=self.source,
            type=self.type,
            media_types=self.media_types,
            schedule=domain.ScheduleDraft(**self.schedule.model_dump()),
            timeframe=Timeframe(**self.timeframe.model_dump()),
            split_size=self.split_size,
            certificates=self.certificates,
            compression=self.compression,
            cipher=self.cipher,
            catch_up=self.catch_up,
            overlap=self.overlap,
            attempts=self.attempts,
        )

    @classmethod
    def of(cls, job: domain.Job) -> "JobDraft":
        """Return the draft that a job could have been made of; that is what a patch is laid on."""
        settings = job.settings
        return cls(
            title=settings.title,
            description=job.description,
            source=settings.source,
            type=settings.type,
            media_types=settings.media_types,
            schedule=schedule_body(job.schedule),
            timeframe=timeframe_body(settings.timeframe),
            split_size=settings.split_size,
            certificates=settings.certificates,
            compression=settings.compression,
            cipher=settings.cipher,
            catch_up=job.catch_up,
            overlap=job.overlap,
            attempts=settings.attempts,
        )


def schedule_body(schedule: Schedule) -> ScheduleBody:
    """Return a schedule as it is sent and shown."""
    every = None if schedule.kind == "once" else schedule.every
    return ScheduleBody(kind=schedule.kind, every=every, immediately=schedule.immediately, start=schedule.start)


def timeframe_body(timeframe: Timeframe) -> TimeframeBody:
    """Return a timeframe as it is sent and shown."""
    return TimeframeBody(
        kind=timeframe.kind, start=timeframe.start, end=timeframe.end, count=timeframe.count, unit=timeframe.unit
    )


def document_of(job: domain.Job) -> dict[str, Any]:
    """Return the document of a job that patches are laid on."""
    return JobDraft.of(job).model_dump(mode="json")


def patched(document: dict[str, Any], patch: dict[str, Any]) -> domain.Draft:
    """Return the draft of a job's document with a merge patch (RFC 7396) laid on it.

    Another kind of schedule or timeframe begins with no fields of the one before. Raises Invalid or
    RequestValidationError.
    """
    _known(patch, JobDraft.model_fields, "")
    document = dict(document)
    for name, model in (("schedule", ScheduleBody), ("timeframe", TimeframeBody)):
        part = patch.get(name)
        if isinstance(part, dict):
            _known(part, model.model_fields, f"{name}.")
            before = document[name] = dict(document.get(name) or {})
            if part.get("kind", before.get("kind")) != before.get("kind"):
                document[name] = {}
            elif name == "schedule" and "start" in part and "immediately" not in part:
                before.pop("immediately", None)
    try:
        return JobDraft.model_validate(_merged(document, patch)).to_domain()
    except ValidationError as error:
        raise RequestValidationError(
            [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_context=False)]
        ) from None


def _known(patch: dict[str, Any], fields: dict[str, Any], prefix: str) -> None:
    if unknown := sorted(set(patch) - set(fields)):
        raise Invalid(*(Fault(f"{prefix}{name}"[:200], "there is no such field") for name in unknown))


def _merged(target: object, patch: object) -> object:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
