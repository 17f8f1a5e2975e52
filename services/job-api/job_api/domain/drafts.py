"""Drafts of jobs and the rules of their fields: from a request to valid settings, with every fault reported at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from job_api.domain import catalog
from job_api.domain.schedules import ScheduleDraft, build_schedule, check_schedule
from job_api.domain.texts import find_text_fault
from job_api.errors import FieldFault, InvalidInput, OperationRefused
from shared.events import DeliverySettings, FilterCondition, JobSettings, Schedule, Timeframe
from shared.events.values import CatchUp, Cipher, Compression, DestinationKind, Overlap, RecordType
from shared.instants import OUT_OF_BOUNDS, is_accepted
from shared.object_names import InvalidTemplate, check_template
from shared.record_filters import find_filter_faults, normalize_filter
from shared.validity import find_validity_fault

MAX_TITLE, MAX_DESCRIPTION = 200, 2_000
MIN_SPLIT_SIZE, MAX_SPLIT_SIZE = 1 << 20, 1 << 50
MAX_RECIPIENTS = 20
MAX_ATTEMPTS = 20
MAX_TIMEFRAME_COUNT = 10_000
MAX_DESTINATIONS = 20
MAX_WITHIN_HOURS = 168
MAX_KEEP_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A job as requested, before validation."""

    title: str
    source: str
    type: RecordType
    schedule: ScheduleDraft
    description: str = ""
    media_types: tuple[str, ...] | None = None
    timeframe: Timeframe = field(default_factory=Timeframe)
    filter: tuple[FilterCondition, ...] = ()
    split_size: int | None = None
    certificates: tuple[UUID, ...] | None = None
    compression: Compression = "fast"
    cipher: Cipher = "aes-256-cbc"
    catch_up: CatchUp = "last"
    overlap: Overlap = "skip"
    attempts: int = 5
    delivery: DeliverySettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantDestination:
    """The facts about one of the tenant's destinations on which the rules of jobs depend."""

    name: str
    kind: DestinationKind


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantCertificate:
    """The facts about one of the tenant's certificates on which the rules of jobs depend."""

    name: str
    active: bool
    not_before: datetime
    not_after: datetime

    def find_fault(self, now: datetime) -> str | None:
        """Return why nothing can be encrypted to this certificate at `now`, or None if it is usable."""
        if not self.active:
            return f"the certificate '{self.name}' is retired"
        fault = find_validity_fault(self.not_before, self.not_after, now)
        return None if fault is None else f"the certificate '{self.name}' {fault.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftContext:
    """What the rules need to know apart from the draft; `previous` is the schedule of the job being edited, if any.

    `destinations` are those that the draft names, as far as the tenant has them.
    """

    now: datetime
    source_tenant: int
    media_types: tuple[str, ...]
    certificates: Mapping[UUID, TenantCertificate]
    destinations: Mapping[UUID, TenantDestination] = field(default_factory=dict)
    previous: Schedule | None = None


@dataclass(frozen=True, slots=True)
class ValidDraft:
    """A draft that breaks no rule, as the parts of a job."""

    description: str
    settings: JobSettings
    schedule: Schedule
    catch_up: CatchUp
    overlap: Overlap


def validate_draft(draft: Draft, context: DraftContext) -> ValidDraft:
    """Return the parts of the job that a draft describes.

    Raises InvalidInput with every fault, and OperationRefused for an unsupported source (rule J2).
    """
    if (reason := catalog.UNSUPPORTED_SOURCES.get(draft.source)) is not None:
        raise OperationRefused("source-not-offered", reason)
    if faults := list(_check_draft(draft, context)):
        raise InvalidInput(*faults)
    settings = JobSettings(
        title=draft.title.strip(),
        source=draft.source,
        type=draft.type,
        source_tenant=context.source_tenant,
        timeframe=draft.timeframe,
        media_types=draft.media_types,
        filter=normalize_filter(draft.type, draft.filter) or None,
        split_size=draft.split_size,
        certificates=draft.certificates,
        compression=draft.compression,
        cipher=draft.cipher,
        attempts=draft.attempts,
        delivery=draft.delivery if draft.delivery and draft.delivery.destinations else None,
    )
    schedule = build_schedule(draft.schedule, now=context.now, previous=context.previous)
    return ValidDraft(draft.description.strip(), settings, schedule, draft.catch_up, draft.overlap)


def _check_draft(draft: Draft, context: DraftContext) -> Iterator[FieldFault]:
    yield from _check_texts(draft)
    known = {source.source_id for source in catalog.SOURCES}
    if draft.source not in known:
        yield FieldFault("source", f"unknown source; choose one of: {', '.join(sorted(known))}")
    yield from _check_media_types(draft, context)
    yield from check_schedule(draft.schedule, now=context.now, previous=context.previous)
    yield from _check_timeframe(draft.timeframe)
    for place, fault in find_filter_faults(draft.type, draft.filter):
        yield FieldFault(f"filter.{place}".rstrip("."), fault)
    if draft.split_size is not None and not MIN_SPLIT_SIZE <= draft.split_size <= MAX_SPLIT_SIZE:
        yield FieldFault(
            "split_size", "from 1 MiB (1048576 bytes) to 1 PiB of uncompressed records; omit it for a single file"
        )
    yield from _check_certificates(draft, context)
    if not 1 <= draft.attempts <= MAX_ATTEMPTS:
        yield FieldFault("attempts", f"from 1 to {MAX_ATTEMPTS}")
    if draft.delivery is not None:
        yield from _check_delivery(draft.delivery, context)


def _check_texts(draft: Draft) -> Iterator[FieldFault]:
    if not 1 <= len(draft.title.strip()) <= MAX_TITLE:
        yield FieldFault("title", f"from 1 to {MAX_TITLE} characters, not counting leading and trailing spaces")
    if (fault := find_text_fault(draft.title.strip())) is not None:
        yield FieldFault("title", fault)
    if len(draft.description.strip()) > MAX_DESCRIPTION:
        yield FieldFault("description", f"at most {MAX_DESCRIPTION} characters")
    if (fault := find_text_fault(draft.description, multiline=True)) is not None:
        yield FieldFault("description", fault)


def _check_media_types(draft: Draft, context: DraftContext) -> Iterator[FieldFault]:
    if draft.media_types is None:
        return
    unknown = sorted(set(draft.media_types) - set(context.media_types))
    if draft.type == "contact":
        yield FieldFault("media_types", "contacts have no media type: omit it, which means all")
    elif not draft.media_types:
        yield FieldFault("media_types", "name at least one media type, or omit it, which means all")
    elif unknown:
        yield FieldFault("media_types", f"not among your media types: {', '.join(unknown)[:200]}")
    elif len(set(draft.media_types)) < len(draft.media_types):
        yield FieldFault("media_types", "each media type only once")


def _check_timeframe(timeframe: Timeframe) -> Iterator[FieldFault]:
    needed = {"all": set(), "since_last_run": set(), "fixed": {"start", "end"}, "last": {"count", "unit"}}[
        timeframe.kind
    ]
    given = {name for name in ("start", "end", "count", "unit") if getattr(timeframe, name) is not None}
    for name in sorted(given - needed):
        yield FieldFault(f"timeframe.{name}", f"a timeframe '{timeframe.kind}' has no {name}")
    for name in sorted(needed - given):
        yield FieldFault(f"timeframe.{name}", f"a timeframe '{timeframe.kind}' needs its {name}")
    if timeframe.count is not None and not 1 <= timeframe.count <= MAX_TIMEFRAME_COUNT:
        yield FieldFault("timeframe.count", f"from 1 to {MAX_TIMEFRAME_COUNT}")
    bounds = {"start": timeframe.start, "end": timeframe.end}
    naive = [name for name, bound in bounds.items() if bound is not None and bound.tzinfo is None]
    for name in naive:
        yield FieldFault(f"timeframe.{name}", "include the offset from UTC, as in 2026-11-24T10:00:00Z")
    for name, bound in bounds.items():
        if bound is not None and bound.tzinfo is not None and not is_accepted(bound):
            yield FieldFault(f"timeframe.{name}", OUT_OF_BOUNDS)
    if not naive and timeframe.start is not None and timeframe.end is not None and timeframe.start >= timeframe.end:
        yield FieldFault("timeframe.end", "must be later than the start")


def _check_certificates(draft: Draft, context: DraftContext) -> Iterator[FieldFault]:
    if draft.certificates is None:
        usable = any(each.find_fault(context.now) is None for each in context.certificates.values())
        # A run that starts now would certainly be refused (P3); a later one may find a certificate by then.
        if draft.schedule.immediately and context.previous is None and not usable:
            yield FieldFault("certificates", "there is no active, valid certificate to encrypt to: upload one first")
        return
    if not 1 <= len(draft.certificates) <= MAX_RECIPIENTS or len(set(draft.certificates)) < len(draft.certificates):
        yield FieldFault("certificates", f"from 1 to {MAX_RECIPIENTS}, each once; or omit it: all active ones")
    for number, each in enumerate(draft.certificates):
        certificate = context.certificates.get(each)
        fault = "there is no certificate with this id" if certificate is None else certificate.find_fault(context.now)
        if fault:
            yield FieldFault(f"certificates.{number}", fault)


def _check_delivery(delivery: DeliverySettings, context: DraftContext) -> Iterator[FieldFault]:
    ids = delivery.destinations
    if len(ids) > MAX_DESTINATIONS or len(set(ids)) < len(ids):
        yield FieldFault("delivery.destinations", f"at most {MAX_DESTINATIONS}, each once")
    for number, each in enumerate(ids):
        if each not in context.destinations:
            yield FieldFault(f"delivery.destinations.{number}", "there is no destination with this id")
    try:
        check_template(delivery.template, overwrite=delivery.overwrite)
    except InvalidTemplate as error:
        yield FieldFault("delivery.template", str(error))
    if not 1 <= delivery.within_hours <= MAX_WITHIN_HOURS:
        yield FieldFault("delivery.within_hours", f"from 1 to {MAX_WITHIN_HOURS} hours")
    if delivery.keep_days is not None and not 0 <= delivery.keep_days <= MAX_KEEP_DAYS:
        yield FieldFault("delivery.keep_days", f"from 0 to {MAX_KEEP_DAYS} days; omit it for the tenant's retention")
