"""The estimator, fed one event at a time."""

import math
from collections.abc import Sequence
from typing import Any, Self

from history.estimator.observed import UNKNOWN, EarlierRun, Eta, Progress

_WINDOWS = (0.08, 0.2, 0.45, 1.0)
_POINTS = 128
_LEAST = 0.001


class Estimator:
    """Says when one run will be done.

    Work is measured in expected time: the share of a run's duration that the job's earlier runs needed for the same
    share of units. The speed in that measure is blended from trailing windows, and with the speed that the earlier
    durations promise, which counts less the more of the run has been seen.
    """

    def __init__(self) -> None:
        self._curve: tuple[float, ...] | None = None
        self._promised: float | None = None
        self._spread = 0.5
        self._points: list[tuple[float, float]] = []
        self._total: float | None = None
        self._began: float | None = None

    def reset(self, earlier_runs: Sequence[object]) -> None:
        """Begin a run, with its job's earlier runs in any order."""
        self._points.clear()
        self._total = self._began = None
        runs = [run for run in map(EarlierRun.of, earlier_runs) if run.status == "succeeded" and run.duration > 0]
        runs.sort(key=lambda run: run.started_at)
        logs = [math.log(run.duration) for run in runs[-20:]]
        self._promised = math.exp(_median(logs)) if logs else None
        self._spread = 1.5 * _median([abs(each - _median(logs)) for each in logs]) + 0.1 if logs else 0.5
        curves = [run.curve for run in runs[-20:] if run.curve]
        self._curve = tuple(_median(list(column)) for column in zip(*curves, strict=True)) if curves else None

    def push(self, event: object) -> None:
        """Take one progress event; one that is older than the last is passed over."""
        progress = Progress.of(event)
        if self._began is None:
            self._began = progress.ts
        if self._points and progress.ts <= self._points[-1][0]:
            return
        self._total = progress.units_total or self._total
        self._points.append((progress.ts, progress.units_done))
        if len(self._points) > _POINTS:
            self._points = self._points[:1] + self._points[2::2]

    def eta(self, now: float) -> Eta:
        """Return seconds left (median) and their 10 % to 90 % band."""
        if self._began is None or not self._points:
            return self._banded(self._promised, 0.0) if self._promised else UNKNOWN
        works = [(ts, self._work(units)) for ts, units in self._points]
        ts, work = works[-1]
        speed = self._speed(works, max(0.0, now - self._began))
        if speed is None:
            return UNKNOWN
        left = (1.0 - work) / speed
        # Silence is spent, but never more than half of what is left: what is late is not therefore nearly done.
        return self._banded(max(left - max(0.0, now - ts), left / 2), work)

    def curve(self, total: float, ended_at: float) -> list[float] | None:
        """Return at which fraction of its duration a run that has ended had done 0, 5 ... 100 % of `total` units."""
        if self._began is None or ended_at <= self._began or total <= 0:
            return None
        points = [(self._began, 0.0), *self._points, (ended_at, total)]
        return [(_reached(points, total * step / 20) - self._began) / (ended_at - self._began) for step in range(21)]

    def dump(self) -> dict[str, Any]:
        """Return what must be kept to go on in another process, a few KB at most."""
        return {"began": self._began, "total": self._total, "points": self._points}

    @classmethod
    def load(cls, state: dict[str, Any], earlier_runs: Sequence[object]) -> Self:
        """Return the estimator that was dumped."""
        made = cls()
        made.reset(earlier_runs)
        made._began, made._total = state["began"], state["total"]
        made._points = [(ts, units) for ts, units in state["points"]]
        return made

    def _work(self, units: float) -> float:
        share = min(1.0, units / self._total) if self._total else 0.0
        if self._curve is None:
            return share
        place = share * 20
        low = min(19, int(place))
        return self._curve[low] + (self._curve[low + 1] - self._curve[low]) * (place - low)

    def _speed(self, works: list[tuple[float, float]], elapsed: float) -> float | None:
        promised = 1.0 / self._promised if self._promised else None
        seen = [speed for window in _WINDOWS if (speed := _trailing(works, elapsed * window)) > 0]
        work = works[-1][1]
        if not seen or work <= 0:
            return promised
        measured = math.exp(sum(math.log(speed) for speed in seen) / len(seen))
        if promised is None:
            return measured
        trust = work / (work + 0.15)
        return math.exp(trust * math.log(measured) + (1 - trust) * math.log(promised))

    def _banded(self, left: float, work: float) -> Eta:
        left = max(left, _LEAST)
        spread = self._spread * (1 - 0.5 * work)
        return left, left * math.exp(-spread), left * math.exp(spread)


def _trailing(works: list[tuple[float, float]], length: float) -> float:
    last = works[-1]
    older = next((point for point in reversed(works) if point[0] <= last[0] - length), works[0])
    return (last[1] - older[1]) / (last[0] - older[0]) if last[0] > older[0] else 0.0


def _reached(points: list[tuple[float, float]], units: float) -> float:
    before = points[0]
    for ts, done in points:
        if done >= units:
            span = done - before[1]
            return before[0] + (ts - before[0]) * ((units - before[1]) / span if span > 0 else 1.0)
        before = (ts, done)
    return points[-1][0]


def _median(values: list[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
