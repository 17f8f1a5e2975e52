"""The body that describes a whole job: its draft as JSON."""

from typing import Any
from uuid import UUID

from pydantic import ConfigDict, Field

from job_api import domain
from job_api.bodies.fields import Body, BodyInstant, MediaType, Whole
from job_api.domain.drafts import (
    MAX_ATTEMPTS,
    MAX_DESCRIPTION,
    MAX_RECIPIENTS,
    MAX_SPLIT_SIZE,
    MAX_TIMEFRAME_COUNT,
    MAX_TITLE,
    MIN_SPLIT_SIZE,
)
from job_api.domain.schedules import MAX_INTERVAL
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

EVERY_LIMITS: dict[str, Any] = {"minimum": 1, "maximum": max(MAX_INTERVAL.values())}
SPLIT_LIMITS: dict[str, Any] = {"minimum": MIN_SPLIT_SIZE, "maximum": MAX_SPLIT_SIZE}
ATTEMPT_LIMITS: dict[str, Any] = {"minimum": 1, "maximum": MAX_ATTEMPTS}
COUNT_LIMITS: dict[str, Any] = {"minimum": 1, "maximum": MAX_TIMEFRAME_COUNT}
EVERY = f"the interval in hours (1 to {MAX_INTERVAL['hourly']}), days, weeks or months (1 to 10,000); 1 if omitted"
TITLE = f"1 to {MAX_TITLE} characters after trimming"
DESCRIPTION = f"at most {MAX_DESCRIPTION:,} characters"
SPLIT_SIZE = "the size of each file in bytes of uncompressed records, 1 MiB or more; null: a single file"
CERTIFICATES = "ids of the recipients' certificates; null: those active when a run starts"
MAX_TEXT, MAX_MEDIA_TYPES = 20_000, 100
"""How much is parsed; what is valid is decided by the domain, which reports every fault at once."""


class ScheduleBody(Body):
    """When a job is due, in UTC: immediately or from `start` on, and how often after that."""

    kind: ScheduleKind
    every: Whole | None = Field(default=None, description=EVERY, json_schema_extra=EVERY_LIMITS)
    immediately: bool = Field(default=False, strict=True, description="start now; `start` is then omitted")
    start: BodyInstant | None = Field(default=None, description="the first instant, with its offset from UTC")


class TimeframeBody(Body):
    """Which records a run exports, by their date: half-open, start <= date < end."""

    kind: TimeframeKind = "all"
    start: BodyInstant | None = Field(default=None, description="of `fixed`")
    end: BodyInstant | None = Field(default=None, description="of `fixed`")
    count: Whole | None = Field(
        default=None, description="of `last`: the number of units before the slot", json_schema_extra=COUNT_LIMITS
    )
    unit: TimeUnit | None = Field(default=None, description="of `last`")


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
    """All settings of a job, as requested."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [DRAFT_EXAMPLE, ONCE_EXAMPLE]}
    )

    title: str = Field(
        max_length=MAX_TEXT, description=TITLE, json_schema_extra={"minLength": 1, "maxLength": MAX_TITLE}
    )
    description: str = Field(
        default="", max_length=MAX_TEXT, description=DESCRIPTION, json_schema_extra={"maxLength": MAX_DESCRIPTION}
    )
    source: str = Field(max_length=100, description="as listed by `GET /api/v1/sources`", examples=["contact_history"])
    type: RecordType
    media_types: tuple[MediaType, ...] | None = Field(
        None, max_length=MAX_MEDIA_TYPES, description="null: all; contacts have none"
    )
    schedule: ScheduleBody
    timeframe: TimeframeBody = Field(default_factory=TimeframeBody)
    split_size: Whole | None = Field(default=None, description=SPLIT_SIZE, json_schema_extra=SPLIT_LIMITS)
    certificates: tuple[UUID, ...] | None = Field(
        None, max_length=100, description=CERTIFICATES, json_schema_extra={"maxItems": MAX_RECIPIENTS}
    )
    compression: Compression = Field("fast", description="`small` takes longer and makes smaller files")
    cipher: Cipher = Field("aes-256-cbc", description="`aes-256-gcm` files open with `openssl cms` only")
    catch_up: CatchUp = Field("last", description="which slots run that were missed while no scheduler ran")
    overlap: Overlap = Field("skip", description="what happens to a slot while the previous run is in progress")
    attempts: Whole = Field(
        default=5, description="how many times a run is attempted", json_schema_extra=ATTEMPT_LIMITS
    )

    def to_domain(self) -> domain.Draft:
        """Return the draft, not yet validated."""
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
    def from_job(cls, job: domain.Job) -> "JobDraft":
        """Return the body that describes a job as it is."""
        settings = job.settings
        return cls(
            title=settings.title,
            description=job.description,
            source=settings.source,
            type=settings.type,
            media_types=settings.media_types,
            schedule=_to_schedule_body(job.schedule),
            timeframe=_to_timeframe_body(settings.timeframe),
            split_size=settings.split_size,
            certificates=settings.certificates,
            compression=settings.compression,
            cipher=settings.cipher,
            catch_up=job.catch_up,
            overlap=job.overlap,
            attempts=settings.attempts,
        )


def _to_schedule_body(schedule: Schedule) -> ScheduleBody:
    every = None if schedule.kind == "once" else schedule.every
    return ScheduleBody(kind=schedule.kind, every=every, immediately=schedule.immediately, start=schedule.start)


def _to_timeframe_body(timeframe: Timeframe) -> TimeframeBody:
    return TimeframeBody(
        kind=timeframe.kind, start=timeframe.start, end=timeframe.end, count=timeframe.count, unit=timeframe.unit
    )
