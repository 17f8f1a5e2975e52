"""The estimators that people know, unchanged but on a simulated clock: tqdm and rich."""

import io
from importlib import import_module
from typing import Any, Protocol

from tests.bench.eta.traces import Event


class Forecaster(Protocol):
    """Estimates the seconds remaining."""

    def push(self, event: Event) -> None:
        """Process a progress event."""
        ...

    def seconds_remaining(self, now: float) -> float | None:
        """Return the estimate at `now`, or None without one."""
        ...


class Tqdm:
    """The real tqdm with its default settings."""

    def __init__(self, started_at: float) -> None:
        self._now = started_at
        bar: Any = import_module("tqdm").tqdm(total=0, file=io.StringIO(), ascii=True, ncols=0)
        bar._time = lambda: self._now
        bar.start_t = bar.last_print_t = started_at
        self._bar = bar

    def push(self, event: Event) -> None:
        """Process a progress event."""
        self._now = event.ts
        self._bar.total = event.units_total
        self._bar.update(event.units_done - self._bar.n)

    def seconds_remaining(self, now: float) -> float | None:
        """Return what tqdm displays: by its moving average, or by the whole run until there is one."""
        self._now = now
        shown = self._bar.format_dict
        rate = shown["rate"] or (shown["n"] / shown["elapsed"] if shown["elapsed"] else 0)
        return max(0.0, (shown["total"] - shown["n"]) / rate) if rate else None


class Rich:
    """The real rich.progress with its default settings."""

    def __init__(self, started_at: float) -> None:
        from rich.progress import Progress

        self._now = started_at
        self._progress = Progress(get_time=lambda: self._now, disable=True)
        self._task = self._progress.add_task("", total=None)

    def push(self, event: Event) -> None:
        """Process a progress event."""
        self._now = event.ts
        self._progress.update(self._task, total=event.units_total, completed=event.units_done)

    def seconds_remaining(self, now: float) -> float | None:
        """Return what rich displays."""
        self._now = now
        return self._progress.tasks[0].time_remaining
