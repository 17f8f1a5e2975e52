"""The body that describes a whole job: its draft as JSON."""

from dataclasses import asdict
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from job_api import domain
from job_api.bodies import fields
from shared.events import DeliverySettings, FilterCondition, Schedule, Timeframe, values
from shared.events.values import FilterOperator
from shared.record_filters import MAX_CONDITIONS


class ScheduleBody(fields.Body):
    """When a job is due, in UTC: immediately or from `start` on, and how often after that."""

    kind: values.ScheduleKind
    every: fields.Interval | None = Field(None, description=fields.INTERVAL_HELP)
    immediately: bool = Field(default=False, strict=True, description="start now")
    start: fields.BodyInstant | None = Field(None, description=fields.START_HELP)


class TimeframeBody(fields.Body):
    """Which records a run exports, by their date: half-open, start <= date < end."""

    kind: values.TimeframeKind = "all"
    start: fields.BodyInstant | None = Field(None, description="of `fixed`")
    end: fields.BodyInstant | None = Field(None, description="of `fixed`")
    count: fields.UnitCount | None = Field(None, description=fields.UNIT_COUNT_HELP)
    unit: values.TimeUnit | None = Field(None, description="of `last`")


class ConditionBody(fields.Body):
    """A condition that every exported record meets."""

    column: str = Field(max_length=100, description=fields.FILTER_COLUMN_HELP, examples=["queueName"])
    operator: FilterOperator = Field(description=fields.FILTER_OPERATOR_HELP)
    values: fields.FilterValues = Field((), description=fields.FILTER_VALUES_HELP, examples=[["billing", "sales"]])
    path: fields.FilterPath = Field((), description=fields.FILTER_PATH_HELP)


ConditionBodies = Annotated[tuple[ConditionBody, ...], Field(max_length=MAX_CONDITIONS)]


class DeliveryBody(fields.Body):
    """To which destinations a job's files are delivered, and how."""

    destinations: fields.DestinationIds = Field(description=fields.DESTINATIONS_HELP)
    template: fields.ObjectTemplate = Field(values.DEFAULT_TEMPLATE, description=fields.TEMPLATE_HELP)
    overwrite: bool = Field(default=False, strict=True, description=fields.OVERWRITE_HELP)
    within_hours: fields.DeliveryHours = Field(24, description=fields.WITHIN_HOURS_HELP)
    keep_days: fields.KeepDays | None = Field(None, description=fields.KEEP_DAYS_HELP)


DRAFT_EXAMPLE: dict[str, Any] = {
    "title": "Nightly e-mail and chat",
    "description": "For the data warehouse",
    "source": "contact_history",
    "type": "interaction",
    "media_types": ["email", "chat"],
    "schedule": {"kind": "daily", "every": 1, "start": "2027-01-04T06:00:00Z"},
    "timeframe": {"kind": "since_last_run"},
    "filter": [{"column": "queueName", "operator": "in", "values": ["billing", "sales"]}],
    "split_size": 1073741824,
}
ONCE_EXAMPLE: dict[str, Any] = {
    "title": "Everything, now",
    "source": "contact_history",
    "type": "interaction",
    "schedule": {"kind": "once", "immediately": True},
}


class JobDraft(fields.Body):
    """All settings of a job, as requested."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [DRAFT_EXAMPLE, ONCE_EXAMPLE]}
    )

    title: fields.JobTitle = Field(description=fields.TITLE_HELP)
    description: fields.JobDescription = Field("", description=fields.DESCRIPTION_HELP)
    source: str = Field(max_length=100, description=fields.SOURCE_HELP, examples=["contact_history"])
    type: values.RecordType
    media_types: fields.MediaTypes | None = Field(None, description=fields.MEDIA_TYPES_HELP)
    schedule: ScheduleBody
    timeframe: TimeframeBody = Field(default_factory=TimeframeBody)
    filter: ConditionBodies | None = Field(None, description=fields.FILTER_HELP)
    split_size: fields.SplitSize | None = Field(None, description=fields.SPLIT_SIZE_HELP)
    certificates: fields.CertificateIds | None = Field(None, description=fields.CERTIFICATES_HELP)
    compression: values.Compression = Field("fast", description=fields.COMPRESSION_HELP)
    cipher: values.Cipher = Field("aes-256-cbc", description=fields.CIPHER_HELP)
    catch_up: values.CatchUp = Field("last", description=fields.CATCH_UP_HELP)
    overlap: values.Overlap = Field("skip", description=fields.OVERLAP_HELP)
    attempts: fields.Attempts = Field(5, description=fields.ATTEMPTS_HELP)
    delivery: DeliveryBody | None = Field(None, description=fields.DELIVERY_HELP)

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
            filter=tuple(FilterCondition(**each.model_dump()) for each in self.filter or ()),
            split_size=self.split_size,
            certificates=self.certificates,
            compression=self.compression,
            cipher=self.cipher,
            catch_up=self.catch_up,
            overlap=self.overlap,
            attempts=self.attempts,
            delivery=DeliverySettings(**self.delivery.model_dump()) if self.delivery is not None else None,
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
            filter=tuple(ConditionBody(**asdict(each)) for each in settings.filter or ()),
            split_size=settings.split_size,
            certificates=settings.certificates,
            compression=settings.compression,
            cipher=settings.cipher,
            catch_up=job.catch_up,
            overlap=job.overlap,
            attempts=settings.attempts,
            delivery=DeliveryBody(**asdict(settings.delivery)) if settings.delivery is not None else None,
        )


def _to_schedule_body(schedule: Schedule) -> ScheduleBody:
    every = None if schedule.kind == "once" else schedule.every
    return ScheduleBody(kind=schedule.kind, every=every, immediately=schedule.immediately, start=schedule.start)


def _to_timeframe_body(timeframe: Timeframe) -> TimeframeBody:
    return TimeframeBody(
        kind=timeframe.kind, start=timeframe.start, end=timeframe.end, count=timeframe.count, unit=timeframe.unit
    )
