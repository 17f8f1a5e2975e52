"""Windows: the interval of instants that a run reads (rules T1 and T2)."""

from calendar import monthrange
from datetime import datetime, timedelta

from shared.events import Window
from shared.events.values import Timeframe, TimeUnit
from shared.instants import EARLIEST

_UNITS = {"hours": timedelta(hours=1), "days": timedelta(days=1), "weeks": timedelta(weeks=1)}


def resolve_window(timeframe: Timeframe, slot: datetime, watermark: datetime | None) -> Window:
    """Return the window of the run for `slot`.

    `watermark` is where the job's last successful run ended, for `since_last_run`; that window's end stays open here,
    because it is the source's watermark when the run begins (T4).
    """
    match timeframe.kind:
        case "all":
            return Window()
        case "fixed":
            return Window(start=timeframe.start, end=timeframe.end)
        case "last":
            return Window(start=_start_of_last(timeframe, slot), end=slot)
        case "since_last_run":
            return Window(start=watermark)


def _start_of_last(timeframe: Timeframe, slot: datetime) -> datetime | None:
    count, unit = timeframe.count or 1, timeframe.unit or "days"
    try:
        start = _subtract(slot, count, unit)
    except (OverflowError, ValueError):
        return None
    # Before all instants that can be given: without a lower bound.
    return start if start >= EARLIEST else None


def _subtract(slot: datetime, count: int, unit: TimeUnit) -> datetime:
    if unit == "months":
        year, month = divmod(slot.year * 12 + slot.month - 1 - count, 12)
        return slot.replace(year=year, month=month + 1, day=min(slot.day, monthrange(year, month + 1)[1]))
    return slot - count * _UNITS[unit]
