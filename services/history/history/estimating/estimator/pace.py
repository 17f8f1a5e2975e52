"""How fast a run goes: its past in a bounded number of points, stalls taken out, and speed over trailing windows."""

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from history.estimating.estimator.promise import median

_POINTS = 96
_GAPS = 15
_WINDOWS = (0.08, 0.2, 0.45, 1.0)
_CHECKS = (0.35, 0.5, 0.65, 0.8, 0.9)
# Silence is a stall when it is this many times as long as usual, and this part of the run so far.
_STALL_TIMES, _STALL_SHARE = 5.0, 0.015
_DOUBT, _FAVOUR = 0.003, 2.0
_HINDSIGHT = 0.005


@dataclass(slots=True)
class Past:
    """Points (instant, units done, seconds stalled until then), thinned as the run grows; all bounded."""

    began: float
    points: list[tuple[float, float, float]] = field(default_factory=list)
    every: float = 0.0
    gaps: list[float] = field(default_factory=list)
    moved_at: float = 0.0
    stalled: float = 0.0
    stalls: int = 0

    def add(self, ts: float, units: float) -> None:
        """Take what was done by an instant; only an advance is a point, so that batches do not look like stairs."""
        if not self.points:
            self.points = [(ts, units, 0.0)]
            self.moved_at = ts
            return
        if units < 0.9 * self.points[-1][1]:
            # Another attempt that begins anew: what came before says nothing of when it will end.
            self.began, self.points, self.every, self.moved_at = ts, [(ts, units, 0.0)], 0.0, ts
            self.gaps, self.stalled, self.stalls = [], 0.0, 0
            return
        if units <= self.points[-1][1]:
            return
        self._moved(ts)
        point = (ts, units, self.stalled)
        if len(self.points) > 1 and ts - self.points[-2][0] < self.every:
            self.points[-1] = point
        else:
            self.points.append(point)
        if len(self.points) > _POINTS:
            self.points = [*self.points[:-1:2], self.points[-1]]
            self.every = 1.5 * (ts - self.points[0][0]) / _POINTS

    def silence(self, now: float) -> float:
        """Return the seconds since anything was last done."""
        return max(0.0, now - self.moved_at)

    def usual_gap(self) -> float:
        """Return the usual seconds from one advance to the next."""
        return median(self.gaps) if self.gaps else 0.0

    def stands(self, now: float) -> float:
        """Return for how long the run has stood still beyond what is usual; 0 while it has not."""
        usual = self.usual_gap()
        still = self.silence(now)
        if len(self.gaps) < 3 or still < _STALL_TIMES * usual or still < _STALL_SHARE * (now - self.began):
            return 0.0
        return still - usual

    def recurring(self, now: float) -> float:
        """Return the seconds of stall to expect for each second at work; one stall alone does not recur."""
        active = now - self.began - self.stalled
        return self.stalled / active * (self.stalls - 1) / (self.stalls + 1) if self.stalls > 1 and active > 0 else 0.0

    def _moved(self, ts: float) -> None:
        if (stood := self.stands(ts)) > 0:
            self.stalled += stood
            self.stalls += 1
        else:
            self.gaps = [*self.gaps[-_GAPS + 1 :], ts - self.moved_at]
        self.moved_at = ts

    def dump(self) -> dict[str, Any]:
        """Return all of it, to be stored."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def load(cls, state: dict[str, Any]) -> "Past":
        """Return what was dumped."""
        return cls(**{**state, "points": [(point[0], point[1], point[2]) for point in state["points"]]})


def speed(past: Past, work_of: Callable[[float], float]) -> tuple[float, float] | None:
    """Return work for each second at work, and how far the windows were off (deviation of the logarithm) until now.

    Four trailing windows (8, 20, 45 and 100 % of the time at work) are blended, each weighted by how well it would have
    foretold this very run at several instants of its past. None while nothing has been done.
    """
    times = [ts - past.began - stalled for ts, _, stalled in past.points]
    works = [work_of(units) for _, units, _ in past.points]
    if past.points[0][0] > past.began:
        times, works = [0.0, *times], [0.0, *works]
    total = times[-1]
    if total <= 0 or works[-1] <= works[0]:
        return None
    checks = [check * total for check in _CHECKS]
    logs, weights, errors = [], [], []
    for window in _WINDOWS:
        found = _trailing(times, works, total, window)
        if found <= 0:
            continue
        error = _hindsight(times, works, window, checks)
        logs.append(math.log(found))
        errors.append(error)
        weights.append((_DOUBT + error) ** -_FAVOUR)
    if not logs:
        return None
    scale = sum(weights)
    blended = sum(weight * each for weight, each in zip(weights, logs, strict=True)) / scale
    off = sum(weight * each for weight, each in zip(weights, errors, strict=True)) / scale
    return math.exp(blended), math.sqrt(off)


def _hindsight(times: list[float], works: list[float], window: float, checks: list[float]) -> float:
    squares, count = _HINDSIGHT, 1.0
    for weight, at in enumerate(checks, start=1):
        then = _trailing(times, works, at, window)
        since = works[-1] - _at(times, works, at)
        if since <= 0:
            continue
        error = math.log(then * (times[-1] - at) / since) if then > 0 else 1.5
        squares += weight * min(2.25, error * error)
        count += weight
    return squares / count


def _trailing(times: list[float], works: list[float], at: float, window: float) -> float:
    length = at * window
    return (_at(times, works, at) - _at(times, works, at - length)) / length if length > 0 else 0.0


def _at(times: list[float], works: list[float], time: float) -> float:
    place = bisect_right(times, time)
    if place == 0:
        return works[0]
    if place == len(times):
        return works[-1]
    before, after = times[place - 1], times[place]
    share = (time - before) / (after - before) if after > before else 1.0
    return works[place - 1] + (works[place] - works[place - 1]) * share
