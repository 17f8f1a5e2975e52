"""When a schedule is due (rules S1 to S5): pure functions in UTC that compute slots without iterating from the past.

Slots are whole seconds. An hourly grid restarts at 00:00 UTC of each day; days, weeks and months count from the day,
week and month of the schedule's start, at its time of day.
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha1
from itertools import islice
from uuid import UUID, uuid5

from shared.events.values import Schedule
from shared.instants import LATEST

_DAY = timedelta(days=1)


def iterate_slots(schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield each slot in (after, until], in order; both bounds are aware."""
    slot = find_next_slot(schedule, after)
    while slot is not None and slot <= until:
        yield slot
        slot = find_next_slot(schedule, slot)


def preview_slots(schedule: Schedule, count: int, after: datetime) -> list[datetime]:
    """Return the first `count` slots after an aware instant; fewer where the schedule ends."""
    return list(islice(iterate_slots(schedule, after, datetime.max.replace(tzinfo=UTC)), count))


def find_next_slot(schedule: Schedule, after: datetime) -> datetime | None:
    """Return the first slot later than the aware instant `after`, or None without one before the year 3000."""
    slot = _find_next_slot(schedule, after)
    return slot if slot is None or slot <= LATEST else None


# Many jobs are due at the same instants on the same grid; a cached answer costs a tenth.
@lru_cache(maxsize=8192)
def _find_next_slot(schedule: Schedule, after: datetime) -> datetime | None:
    start = truncate_to_second(schedule.start)
    after = after.astimezone(UTC)
    if schedule.kind == "once" or (schedule.immediately and after < start):
        return start if after < start else None
    # With `immediately` the start itself was a slot already; otherwise the start may be on the grid.
    floor = after if after >= start else start - timedelta(microseconds=1)
    try:
        return _GRIDS[schedule.kind](start, schedule.every, floor)
    except (OverflowError, ValueError):
        return None


def truncate_to_second(instant: datetime) -> datetime:
    """Return the instant in UTC, truncated to the second."""
    return instant.astimezone(UTC).replace(microsecond=0)


def _hourly(_: datetime, every: int, after: datetime) -> datetime:
    midnight = after.replace(hour=0, minute=0, second=0, microsecond=0)
    hour = ((after - midnight) // timedelta(hours=every) + 1) * every
    return midnight + (timedelta(hours=hour) if hour < 24 else _DAY)


def _daily(start: datetime, every: int, after: datetime) -> datetime:
    step = every * _DAY
    return start + ((after - start) // step + 1) * step


def _weekly(start: datetime, every: int, after: datetime) -> datetime:
    return _daily(start, every * 7, after)


def _monthly(start: datetime, every: int, after: datetime) -> datetime:
    months = (after.year - start.year) * 12 + after.month - start.month
    steps = max(0, months // every)
    slot = _month_later(start, steps * every)
    return slot if slot > after else _month_later(start, (steps + 1) * every)


def _month_later(start: datetime, months: int) -> datetime:
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    return start.replace(year=year, month=month + 1, day=min(start.day, monthrange(year, month + 1)[1]))


_GRIDS = {"hourly": _hourly, "daily": _daily, "weekly": _weekly, "monthly": _monthly}


RUN_NAMESPACE = UUID("6f1f4a52-5d0e-5c4e-9d7b-0a1f0c6f5a11")
"""The namespace of run ids. It never changes: ids that are derived twice must be equal."""
_NAMESPACE = RUN_NAMESPACE.bytes
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def derive_run_id(job_id: UUID, slot: datetime) -> UUID:
    """Return the id of a job's run for a slot: derived, so that a slot decided twice is still one run (rule S7)."""
    return UUID(derive_run_id_text(str(job_id), format_slot(truncate_to_second(slot))))


@lru_cache(maxsize=8192)
def format_slot(slot: datetime) -> str:
    """Return a slot (a whole second in UTC) in RFC 3339, with `Z`."""
    return slot.isoformat()[:19] + "Z"


def derive_run_id_text(job_id: str, slot: str) -> str:
    """Return `derive_run_id` from text and as text: a UUID of version 5 (RFC 9562) in half of uuid5's time."""
    digest = sha1(_NAMESPACE + f"{job_id}/{slot}".encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"


def derive_request_run_id(request_id: UUID) -> UUID:
    """Return the id of the run of a run-now request: a request sent twice with one id is one run (rule S10)."""
    return uuid5(RUN_NAMESPACE, f"request/{request_id}")
