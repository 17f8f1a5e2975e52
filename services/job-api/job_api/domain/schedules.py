"""Schedules: the rules of their fields (S1, S4 to S6), and their description in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from job_api.errors import FieldFault
from shared.events import Schedule
from shared.events.values import ScheduleKind
from shared.instants import OUT_OF_BOUNDS, is_accepted
from shared.timetable import truncate_to_second

MAX_INTERVAL = {"hourly": 24, "daily": 10_000, "weekly": 10_000, "monthly": 10_000}
"""The largest `every` of each kind of repeated schedule."""
_UNIT = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month"}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MAX_AHEAD = timedelta(days=100 * 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDraft:
    """A schedule as requested, before validation; `start` is None when it starts immediately."""

    kind: ScheduleKind
    start: datetime | None = None
    immediately: bool = False
    every: int | None = None


def check_schedule(draft: ScheduleDraft, *, now: datetime, previous: Schedule | None) -> Iterator[FieldFault]:
    """Yield every fault of a schedule; `previous` is the schedule of the job being edited, if any."""
    if draft.kind == "once":
        if draft.every is not None:
            yield FieldFault("schedule.every", "a job that runs once does not repeat: omit it")
    elif draft.every is not None and not 1 <= draft.every <= MAX_INTERVAL[draft.kind]:
        limit = f"every 1 to {MAX_INTERVAL[draft.kind]} {_UNIT[draft.kind]}s"
        yield FieldFault("schedule.every", f"{draft.kind} jobs run {limit}")
    yield from _check_start(draft, now, previous)


def _check_start(draft: ScheduleDraft, now: datetime, previous: Schedule | None) -> Iterator[FieldFault]:
    start = draft.start
    if start is None:
        if not draft.immediately:
            yield FieldFault("schedule.start", "give a date and time, or start immediately")
    elif start.tzinfo is None:
        yield FieldFault("schedule.start", "include the offset from UTC, as in 2026-11-24T10:00:00Z")
    elif not is_accepted(start):
        yield FieldFault("schedule.start", OUT_OF_BOUNDS)
    elif draft.immediately:
        if not (_keeps_start(draft, previous) and previous is not None and truncate_to_second(start) == previous.start):
            yield FieldFault("schedule.start", "omit it if the job starts immediately")
    elif draft.kind == "once" and start <= now:
        yield FieldFault(
            "schedule.start", "is in the past: a job that runs once must start in the future or immediately"
        )
    elif start > now + _MAX_AHEAD:
        yield FieldFault("schedule.start", "is more than a hundred years ahead")


def build_schedule(draft: ScheduleDraft, *, now: datetime, previous: Schedule | None) -> Schedule:
    """Return the schedule of a draft that `check_schedule` found no fault in.

    An edit that leaves "start immediately" set keeps the original start, so that no slot fires again (rule J10).
    """
    kept = previous.start if previous is not None and _keeps_start(draft, previous) else None
    start = kept or truncate_to_second(draft.start or now)
    return Schedule(kind=draft.kind, start=start, immediately=draft.immediately, every=draft.every or 1)


def _keeps_start(draft: ScheduleDraft, previous: Schedule | None) -> bool:
    return draft.immediately and previous is not None and previous.immediately


def describe_schedule(schedule: Schedule) -> str:
    """Return a schedule in words, in UTC: "every 2 days at 06:00 UTC"."""
    start, every = schedule.start, schedule.every
    # Not strftime, which costs more than everything else in rendering a job.
    at = f"at {start.hour:02}:{start.minute:02} UTC"
    match schedule.kind:
        case "once":
            return "once, immediately" if schedule.immediately else f"once, {start.date().isoformat()} {at}"
        case "hourly":
            return "every hour on the hour, UTC" if every == 1 else f"every {every} hours from 00:00 UTC"
        case "daily":
            return f"every day {at}" if every == 1 else f"every {every} days {at}"
        case "weekly":
            day = _DAYS[start.weekday()]
            return f"every {day} {at}" if every == 1 else f"every {every} weeks on {day} {at}"
        case "monthly":
            interval = "every month" if every == 1 else f"every {every} months"
            return f"{interval} on day {start.day} {at}"
