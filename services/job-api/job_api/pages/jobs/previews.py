"""What a draft of a job amounts to: its next scheduled runs, and an estimate of rows and bytes (J12)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from job_api.domain import Draft, Job, ScheduleDraft
from job_api.domain.schedules import describe_schedule
from job_api.domain.sizes import find_size_warning
from job_api.errors import InvalidInput, OperationRefused
from job_api.pages.jobs.job_form import to_form_errors
from job_api.pages.kit.services import PageServices
from shared.auth import Identity

PREVIEWED_RUNS = 5
_SCHEDULE_FIELDS = ("kind", "every", "start")
_SIZE_FIELDS = ("fixed", "last", "split")
_INCOMPLETE = "Complete the type, the export timeframe and the file split size first."


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePreview:
    """A schedule in words and its next slots, or what the schedule still lacks."""

    description: str = ""
    slots: Sequence[datetime] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SizePreview:
    """Estimated rows, attachments and uncompressed bytes, or why there are none; and a warning about large files."""

    rows: int | None = None
    bytes: int | None = None
    attachments: int | None = None
    reason: str | None = None
    warning: str | None = None


def preview_schedule(
    services: PageServices, draft: Draft, errors: Mapping[str, str], *, job: Job | None
) -> SchedulePreview:
    """Return the next slots of a draft whose fields have these errors; `job` is the one that is edited, if any."""
    if unreadable := [errors[name] for name in _SCHEDULE_FIELDS if name in errors]:
        return SchedulePreview(error=unreadable[0])
    try:
        schedule, slots = services.jobs.preview(draft.schedule, PREVIEWED_RUNS, job.schedule if job else None)
    except InvalidInput as error:
        return SchedulePreview(error=" ".join(to_form_errors(error.faults).values()))
    return SchedulePreview(description=describe_schedule(schedule), slots=slots)


async def estimate_size(
    services: PageServices, identity: Identity, draft: Draft, *, errors: Mapping[str, str]
) -> SizePreview:
    """Return the estimated size of a run of a draft whose fields have these errors; takes up to 2 s."""
    if any(name.startswith(_SIZE_FIELDS) for name in errors):
        return SizePreview(reason=_INCOMPLETE)
    # Neither the title nor the schedule changes the size: the estimate does not wait for them.
    tomorrow = services.clock.now() + timedelta(days=1)
    settings_only = replace(
        draft,
        title="x",
        description="",
        schedule=ScheduleDraft(kind="daily", start=tomorrow),
        certificates=None,
        attempts=1,
    )
    try:
        valid = await services.jobs.validate(identity, settings_only)
    except (InvalidInput, OperationRefused):
        return SizePreview(reason=_INCOMPLETE)
    found = await services.estimator.estimate(valid.settings)
    warning = find_size_warning(draft.split_size, found.bytes, attachments=found.attachment_bytes)
    return SizePreview(
        rows=found.rows, bytes=found.bytes, attachments=found.attachments, reason=found.reason, warning=warning
    )
