"""From what somebody typed to what a job may hold: every rule of the fields, every fault at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from job_api.domain import catalog
from job_api.domain.schedules import ScheduleDraft, schedule_faults, settled_schedule
from job_api.errors import Fault, Invalid, Refused
from shared.events import JobSettings, Schedule, Timeframe
from shared.events.values import CatchUp, Cipher, Compression, Overlap, RecordType
from shared.validity import find_validity_fault

TITLE_MOST, DESCRIPTION_MOST = 200, 2_000
SPLIT_LEAST, SPLIT_MOST = 1 << 20, 1 << 50
RECIPIENTS_MOST = 20
ATTEMPTS_MOST = 20
COUNT_MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A job as somebody asks for it, not yet believed."""

    title: str
    source: str
    type: RecordType
    schedule: ScheduleDraft
    description: str = ""
    media_types: tuple[str, ...] | None = None
    timeframe: Timeframe = field(default_factory=Timeframe)
    split_size: int | None = None
    certificates: tuple[UUID, ...] | None = None
    compression: Compression = "fast"
    cipher: Cipher = "aes-256-cbc"
    catch_up: CatchUp = "last"
    overlap: Overlap = "skip"
    attempts: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A certificate of the tenant, as far as a job must know it."""

    name: str
    active: bool
    not_before: datetime
    not_after: datetime

    def fault(self, now: datetime) -> str | None:
        """Return why nothing can be encrypted for it now, or None."""
        if not self.active:
            return f"the certificate '{self.name}' is retired"
        fault = find_validity_fault(self.not_before, self.not_after, now)
        return None if fault is None else f"the certificate '{self.name}' {fault.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the rules must know beside the draft; `previous` is the schedule of the job that is edited."""

    now: datetime
    source_tenant: int
    media_types: tuple[str, ...]
    recipients: Mapping[UUID, Recipient]
    previous: Schedule | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """A draft that broke no rule."""

    description: str
    settings: JobSettings
    schedule: Schedule
    catch_up: CatchUp
    overlap: Overlap


def settled(draft: Draft, context: Context) -> Settled:
    """Return what a job made of the draft holds. Raises Invalid with every fault, Refused for a source (J2)."""
    if (why := catalog.NOT_OFFERED.get(draft.source)) is not None:
        raise Refused("source-not-offered", why, status=422)
    if faults := list(_faults(draft, context)):
        raise Invalid(*faults)
    settings = JobSettings(
        title=draft.title.strip(),
        source=draft.source,
        type=draft.type,
        source_tenant=context.source_tenant,
        timeframe=draft.timeframe,
        media_types=draft.media_types,
        split_size=draft.split_size,
        certificates=draft.certificates,
        compression=draft.compression,
        cipher=draft.cipher,
        attempts=draft.attempts,
    )
    schedule = settled_schedule(draft.schedule, now=context.now, previous=context.previous)
    return Settled(draft.description.strip(), settings, schedule, draft.catch_up, draft.overlap)


def _faults(draft: Draft, context: Context) -> Iterator[Fault]:
    yield from _text_faults(draft)
    if draft.source not in {source.source_id for source in catalog.SOURCES}:
        known = ", ".join(source.source_id for source in catalog.SOURCES)
        yield Fault("source", f"there is no such source; there is: {known}")
    yield from _media_faults(draft, context)
    yield from schedule_faults(draft.schedule, now=context.now, previous=context.previous)
    yield from _timeframe_faults(draft.timeframe)
    if draft.split_size is not None and not SPLIT_LEAST <= draft.split_size <= SPLIT_MOST:
        yield Fault(
            "split_size", "from 1 MiB (1048576 bytes) of uncompressed records up to 1 PiB; leave out for one file"
        )
    yield from _recipient_faults(draft, context)
    if not 1 <= draft.attempts <= ATTEMPTS_MOST:
        yield Fault("attempts", f"from 1 to {ATTEMPTS_MOST}")


def _text_faults(draft: Draft) -> Iterator[Fault]:
    if not 1 <= len(draft.title.strip()) <= TITLE_MOST:
        yield Fault("title", f"from 1 to {TITLE_MOST} characters are needed, not counting spaces around them")
    if any(ord(each) < 32 or ord(each) == 127 for each in draft.title.strip()):
        yield Fault("title", "control characters and line breaks are not allowed")
    if len(draft.description.strip()) > DESCRIPTION_MOST:
        yield Fault("description", f"{DESCRIPTION_MOST} characters at most")
    if "\0" in draft.description:
        yield Fault("description", "the character NUL is not allowed")


def _media_faults(draft: Draft, context: Context) -> Iterator[Fault]:
    if draft.media_types is None:
        return
    unknown = sorted(set(draft.media_types) - set(context.media_types))
    if draft.type == "contact":
        yield Fault("media_types", "contacts have no media type: leave it out, which means all")
    elif not draft.media_types:
        yield Fault("media_types", "name at least one media type, or leave it out, which means all")
    elif unknown:
        yield Fault("media_types", f"not among your media types: {', '.join(unknown)[:200]}")
    elif len(set(draft.media_types)) < len(draft.media_types):
        yield Fault("media_types", "each media type only once")


def _timeframe_faults(timeframe: Timeframe) -> Iterator[Fault]:
    wanted = {"all": set(), "since_last_run": set(), "fixed": {"start", "end"}, "last": {"count", "unit"}}[
        timeframe.kind
    ]
    given = {name for name in ("start", "end", "count", "unit") if getattr(timeframe, name) is not None}
    for name in sorted(given - wanted):
        yield Fault(f"timeframe.{name}", f"a timeframe '{timeframe.kind}' has no {name}")
    for name in sorted(wanted - given):
        yield Fault(f"timeframe.{name}", f"a timeframe '{timeframe.kind}' needs its {name}")
    if timeframe.count is not None and not 1 <= timeframe.count <= COUNT_MOST:
        yield Fault("timeframe.count", f"from 1 to {COUNT_MOST}")
    bounds = {"start": timeframe.start, "end": timeframe.end}
    naive = [name for name, bound in bounds.items() if bound is not None and bound.tzinfo is None]
    for name in naive:
        yield Fault(f"timeframe.{name}", "say the offset from UTC, as in 2026-11-24T10:00:00Z")
    if not naive and timeframe.start is not None and timeframe.end is not None and timeframe.start >= timeframe.end:
        yield Fault("timeframe.end", "must be later than the start")


def _recipient_faults(draft: Draft, context: Context) -> Iterator[Fault]:
    if draft.certificates is None:
        usable = any(each.fault(context.now) is None for each in context.recipients.values())
        # A run that starts now would be refused for certain (P3); one that is due later may find a certificate by then.
        if draft.schedule.immediately and context.previous is None and not usable:
            yield Fault("certificates", "there is no active and valid certificate to encrypt for: upload one first")
        return
    if not 1 <= len(draft.certificates) <= RECIPIENTS_MOST or len(set(draft.certificates)) < len(draft.certificates):
        yield Fault("certificates", f"from 1 to {RECIPIENTS_MOST}, each once; or leave it out: all that are active")
    for number, each in enumerate(draft.certificates):
        recipient = context.recipients.get(each)
        fault = "there is no certificate with this id" if recipient is None else recipient.fault(context.now)
        if fault:
            yield Fault(f"certificates.{number}", fault)
