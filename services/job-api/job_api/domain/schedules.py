"""Schedules: the rules of their fields (S1, S4 to S6), and their words."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from job_api.errors import Fault
from shared.events import Schedule
from shared.events.values import ScheduleKind
from shared.timetable import truncate_to_second

EVERY_MOST = {"hourly": 24, "daily": 10_000, "weekly": 10_000, "monthly": 10_000}
_UNIT = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month"}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FAR = timedelta(days=100 * 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleDraft:
    """When somebody asks that a job be due; `start` is None when it starts immediately."""

    kind: ScheduleKind
    start: datetime | None = None
    immediately: bool = False
    every: int | None = None


def schedule_faults(draft: ScheduleDraft, *, now: datetime, previous: Schedule | None) -> Iterator[Fault]:
    """Yield what is wrong with a schedule; `previous` is that of the job which is edited."""
    if draft.kind == "once":
        if draft.every is not None:
            yield Fault("schedule.every", "a job that runs once is not repeated: leave it out")
    elif draft.every is not None and not 1 <= draft.every <= EVERY_MOST[draft.kind]:
        yield Fault("schedule.every", f"{draft.kind} jobs run every 1 to {EVERY_MOST[draft.kind]} {_UNIT[draft.kind]}s")
    yield from _start_faults(draft, now, previous)


def _start_faults(draft: ScheduleDraft, now: datetime, previous: Schedule | None) -> Iterator[Fault]:
    start = draft.start
    if start is None:
        if not draft.immediately:
            yield Fault("schedule.start", "give a date and time, or start immediately")
    elif start.tzinfo is None:
        yield Fault("schedule.start", "say the offset from UTC, as in 2026-11-24T10:00:00Z")
    elif draft.immediately:
        if not (_kept(draft, previous) and previous is not None and truncate_to_second(start) == previous.start):
            yield Fault("schedule.start", "leave it out when the job starts immediately")
    elif draft.kind == "once" and start <= now:
        yield Fault(
            "schedule.start", "is in the past: a job that runs once needs a start to come, or starts immediately"
        )
    elif start > now + _FAR:
        yield Fault("schedule.start", "is more than a hundred years away")


def settled_schedule(draft: ScheduleDraft, *, now: datetime, previous: Schedule | None) -> Schedule:
    """Return the schedule of a draft without faults.

    An edit that leaves "immediately" as it was keeps the instant it meant, so that it fires nothing again (J10).
    """
    kept = previous.start if previous is not None and _kept(draft, previous) else None
    start = kept or truncate_to_second(draft.start or now)
    return Schedule(kind=draft.kind, start=start, immediately=draft.immediately, every=draft.every or 1)


def _kept(draft: ScheduleDraft, previous: Schedule | None) -> bool:
    return draft.immediately and previous is not None and previous.immediately


def in_words(schedule: Schedule) -> str:
    """Return a schedule as people say it, in UTC."""
    start, every = schedule.start, schedule.every
    # Not by strftime, which costs more than all the rest of showing a job.
    at = f"at {start.hour:02}:{start.minute:02} UTC"
    match schedule.kind:
        case "once":
            return "once, at once" if schedule.immediately else f"once, {start.date().isoformat()} {at}"
        case "hourly":
            return "every hour on the hour, UTC" if every == 1 else f"every {every} hours from 00:00 UTC"
        case "daily":
            return f"every day {at}" if every == 1 else f"every {every} days {at}"
        case "weekly":
            day = _DAYS[start.weekday()]
            return f"every {day} {at}" if every == 1 else f"every {every} weeks on {day} {at}"
        case "monthly":
            which = "every month" if every == 1 else f"every {every} months"
            return f"{which} on day {start.day} {at}"
