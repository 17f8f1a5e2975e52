"""The schedule rules as an independent definition, evaluated for every minute of ten years.

Whether a minute is a slot depends on its day and on its time of day, so each day and each minute of a day is evaluated
once, and the slots are all pairs of both.
"""

import random
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta

from shared.events import Schedule
from shared.events.values import ScheduleKind

FIRST, LAST = datetime(2023, 1, 1, tzinfo=UTC), datetime(2032, 12, 31, 23, 59, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
DAYS = [FIRST.date() + number * DAY for number in range((LAST - FIRST).days + 1)]
KINDS: tuple[ScheduleKind, ...] = ("hourly", "daily", "weekly", "monthly")


def some_schedule(dice: random.Random) -> Schedule:
    """Draw a schedule; its start lies before, within or after the ten years, on any day, often at a month's end."""
    kind = dice.choice(KINDS)
    start = FIRST + dice.randrange(-3 * 365 * 1440, 10 * 365 * 1440) * MINUTE
    if dice.random() < 0.2:
        start = start.replace(day=monthrange(start.year, start.month)[1])
    every = dice.randint(1, 24) if kind == "hourly" else dice.choice([1, 1, 2, 3, 5, 7, 9, 13, 23, 60])
    return Schedule(kind=kind, start=start, every=every, immediately=dice.random() < 0.3)


def scan(schedule: Schedule, begin: datetime, end: datetime) -> list[datetime]:
    """Return every slot in [begin, end], minute by minute and day by day."""
    start = schedule.start
    minutes = [minute for minute in range(1440) if _is_due_minute(schedule, minute)]
    first, last = begin.date(), end.date()
    days = [day for day in DAYS if first <= day <= last and _is_due_day(schedule, day)]
    times = [time(minute // 60, minute % 60, tzinfo=UTC) for minute in minutes]
    first_instant = max(begin, start)
    on_grid = (datetime.combine(day, each) for day in days for each in times)
    found = [slot for slot in on_grid if first_instant <= slot <= end]
    if schedule.immediately and begin <= start <= end and start not in found[:1]:
        return [start, *found]
    return found


def _is_due_minute(schedule: Schedule, minute: int) -> bool:
    if schedule.kind == "hourly":
        return minute % 60 == 0 and (minute // 60) % schedule.every == 0
    return minute == schedule.start.hour * 60 + schedule.start.minute


def _is_due_day(schedule: Schedule, day: date) -> bool:
    first = schedule.start.date()
    if schedule.kind == "hourly":
        return True
    if schedule.kind == "daily":
        return (day - first).days % schedule.every == 0
    if schedule.kind == "weekly":
        return day.weekday() == first.weekday() and (day - first).days // 7 % schedule.every == 0
    if ((day.year - first.year) * 12 + day.month - first.month) % schedule.every:
        return False
    is_last_day = (day + DAY).month != day.month
    return day.day == first.day or (is_last_day and first.day > day.day)
