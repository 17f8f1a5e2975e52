"""A job's settings in words, as its page shows them."""

from collections.abc import Sequence
from datetime import datetime

from job_api.domain import Job
from job_api.domain.catalog import format_media_type
from job_api.domain.schedules import describe_schedule
from job_api.pages.kit.certificates import warn_of_expiry
from job_api.pages.kit.filters import describe_filter
from job_api.pages.kit.formats import capitalize, format_instant, format_size
from job_api.pages.kit.labels import SOURCE_LABELS, TYPE_LABELS
from job_api.store.certificates import Certificate
from shared.events import Timeframe

Fact = tuple[str, str | datetime | None]
"""A label and its value; a fact without a value is not shown."""
_CATCH_UP = {
    "last": "the latest scheduled run that was missed is started",
    "all": "every scheduled run that was missed is started, up to 100",
    "none": "no scheduled run that was missed is started",
}
_OVERLAP = {"skip": "the scheduled run is skipped", "queue": "one run waits"}
_CIPHERS = {
    "aes-256-cbc": "AES-256-CBC: opens with openssl cms and openssl smime",
    "aes-256-gcm": "AES-256-GCM with OAEP: opens with openssl cms only",
}
_SUSPENDED = {
    "user": "Suspended by a user: scheduled runs are skipped.",
    "one-time": "This job runs once, and its start has passed.",
    "failures": "Suspended by the system after 5 failed runs in a row. Resume it when the cause is removed.",
}


def list_settings(job: Job) -> list[Fact]:
    """Return a job's settings as labels and values, in the editor's order and words."""
    settings, repeats = job.settings, job.schedule.kind != "once"
    media = settings.media_types
    split = settings.split_size
    return [
        ("Source", SOURCE_LABELS.get(settings.source, settings.source)),
        ("Type", TYPE_LABELS[settings.type]),
        ("Media types", _describe_media(media) if settings.type == "interaction" else ""),
        ("Schedule", capitalize(describe_schedule(job.schedule))),
        ("Export timeframe", describe_timeframe(settings.timeframe)),
        ("Filter", describe_filter(settings.filter)),
        ("File split size", f"{format_size(split)} of records" if split else "None: single file"),
        ("Encrypt for", _describe_recipients(settings.certificates)),
        ("Encryption", _CIPHERS[settings.cipher]),
        ("Compression", "Small files, slower" if settings.compression == "small" else "Fast"),
        ("After an outage", capitalize(_CATCH_UP[job.catch_up]) if repeats else ""),
        ("If the previous run is still in progress", capitalize(_OVERLAP[job.overlap]) if repeats else ""),
        ("Attempts", f"Up to {settings.attempts} if the source or the object store is unavailable"),
        ("Created", job.created_at),
        ("Last saved", job.saved_at if job.version > 1 else None),
    ]


def describe_timeframe(timeframe: Timeframe) -> str:
    """Return which records a job exports, with its bounds or its length."""
    match timeframe.kind:
        case "fixed" if timeframe.start is not None and timeframe.end is not None:
            return f"{format_instant(timeframe.start)} to {format_instant(timeframe.end)}"
        case "last":
            count, unit = timeframe.count or 1, str(timeframe.unit or "days")
            return f"Last {count} {unit.removesuffix('s') if count == 1 else unit} before each scheduled run"
        case "since_last_run":
            return "What has changed since the last successful run; the first run exports all records"
    return "All records"


def explain_job_state(job: Job) -> str:
    """Return why a job is suspended, as a sentence; empty for an active one."""
    return _SUSPENDED.get(job.state_reason or "", "")


def warn_of_recipients(job: Job, recipients: Sequence[Certificate], now: datetime) -> list[str]:
    """Return a sentence for each reason why runs of a job fail or soon will, or leave a recipient out (C2).

    `recipients` are the certificates that the job names, or the active ones if it names none. Exporters use the active
    ones of them, and refuse a run for which one of these has expired.
    """
    active = [each for each in recipients if each.state == "active"]
    if job.settings.certificates is None:
        return warn_of_expiry(active, now)
    retired = [f"“{each.name}”" for each in recipients if each.state == "retired"]
    if not active:
        return [f"All certificates of this job are retired, so its runs fail: {', '.join(retired)}. Select others."]
    left_out = [f"The certificate {name} is retired: files are no longer encrypted for it." for name in retired]
    return [*left_out, *warn_of_expiry(active, now)]


def _describe_media(media: Sequence[str] | None) -> str:
    return ", ".join(format_media_type(each) for each in media) if media else "All, including ones added later"


def _describe_recipients(certificates: Sequence[object] | None) -> str:
    return "Selected certificates only" if certificates else "All certificates that are active when a run starts"
