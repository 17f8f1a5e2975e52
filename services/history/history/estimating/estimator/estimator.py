"""The estimator, fed one event at a time."""

import math
from collections.abc import Sequence
from typing import Any, Self

from history.estimating.estimator.band import Doubt, banded, measured_deviation
from history.estimating.estimator.observed import UNKNOWN, Eta, Progress
from history.estimating.estimator.pace import Past, speed
from history.estimating.estimator.promise import Promise, promise_of
from history.estimating.estimator.slices import Slices

_LEAST = 0.001
_JUMP = 0.3
_CALM = 0.015
_LINE = tuple(step / 20 for step in range(21))


class Estimator:
    """Says when one run will be done; where each piece comes from:

    - work is measured in expected time, by the 21-point curves of earlier runs (as build systems do for known steps);
    - speed is blended from trailing windows weighted by hindsight (forecast combination by inverse squared error);
    - earlier durations against sizes give a prior that the run's own pace overrules as it goes on (a precision-weighted
      mean, as in Bayesian updating of a log-normal duration);
    - stalls are taken out of the speed; their recurring share is added back, and one that stands is expected to last
      half as long again (for durations without a scale, what has lasted t goes on in proportion to t);
    - the slowest slice decides;
    - the end shown is damped, and jumps when it is off by more than 30 %;
    - the band comes from how far estimates of such runs were off before (`history.estimator.band`).
    """

    def __init__(self) -> None:
        self._promise: Promise | None = None
        self._past: Past | None = None
        self._slices = Slices()
        self._total: float | None = None
        self._seen_at = 0.0
        self._shown: tuple[float, float] | None = None

    def reset(self, earlier_runs: Sequence[object]) -> None:
        """Begin a run, with its job's earlier runs in any order."""
        self._promise = promise_of(earlier_runs)
        self._past, self._slices, self._total, self._shown = None, Slices(), None, None

    def push(self, event: object) -> None:
        """Take one progress event; one that is older than the last is passed over."""
        progress = event if isinstance(event, Progress) else Progress.of(event)
        if self._past is None:
            self._past = Past(progress.ts)
        elif progress.ts <= self._seen_at:
            return
        self._seen_at = progress.ts
        if progress.units_total and progress.units_total != self._total:
            self._total, self._shown = progress.units_total, None  # what was shown rested on another total
        self._past.add(progress.ts, progress.units_done)
        self._slices.add(progress.ts, progress.slices)

    def begin(self, ts: float) -> None:
        """Say when the run began, where that is known before its first progress."""
        self._past = self._past or Past(ts)
        # Its progress may have been heard of first: topics are read in no order between them.
        self._past.began = min(self._past.began, ts)
        self._seen_at = max(self._seen_at, ts)

    def eta(self, now: float) -> Eta:
        """Return seconds left (median) and their 10 % to 90 % band."""
        left, deviation = self._left(now)
        if left is None:
            return UNKNOWN
        past, promise = self._past, self._promise
        slack = past.usual_gap() / 2 + 0.003 * max(0.0, now - past.began) if past else 0.0
        share = self._share()
        stalled = past.stands(now) if past and share < 1 else 0.0
        doubt = Doubt(deviation, share, promise is not None, slack, promise.coverage if promise else None, stalled)
        return banded(self._damped(max(left, _LEAST), now), doubt)

    def points(self) -> list[list[float]]:
        """Return instants and the units done by then, from the beginning on."""
        past = self._past
        return [[past.began, 0.0], *([ts, units] for ts, units, _ in past.points)] if past else []

    def curve(self, total: float, ended_at: float) -> list[float] | None:
        """Return at which fraction of its duration a run that has ended had done 0, 5 ... 100 % of `total` units."""
        past = self._past
        if past is None or ended_at <= past.began or total <= 0:
            return None
        points = [(past.began, 0.0), *((ts, units) for ts, units, _ in past.points), (ended_at, total)]
        return [(_reached(points, total * step / 20) - past.began) / (ended_at - past.began) for step in range(21)]

    def dump(self) -> dict[str, Any]:
        """Return what must be kept to go on in another process, a few KB at most."""
        past = self._past.dump() if self._past else None
        return {
            "past": past,
            "slices": self._slices.dump(),
            "total": self._total,
            "seen_at": self._seen_at,
            "shown": self._shown,
        }

    @classmethod
    def load(cls, state: dict[str, Any], earlier_runs: Sequence[object]) -> Self:
        """Return the estimator that was dumped."""
        made = cls()
        made.reset(earlier_runs)
        made._past = Past.load(state["past"]) if state["past"] else None
        made._slices = Slices.load(state["slices"])
        made._total, made._seen_at = state["total"], state["seen_at"]
        made._shown = (state["shown"][0], state["shown"][1]) if state["shown"] else None
        return made

    def _left(self, now: float) -> tuple[float | None, float]:
        """Return the seconds left before damping, and the deviation of their logarithm."""
        past, promise = self._past, self._promise
        elapsed = now - past.began if past else 0.0
        if past is None or self._total is None or not past.points:
            return self._promised(elapsed)
        share = self._share()
        found = speed(past, self._work)
        if found is None:
            return self._promised(elapsed)
        work, (pace, off) = self._work(past.points[-1][1]), found
        pace /= 1 + past.recurring(now)
        deviation = measured_deviation(work, off, promise.wander if promise else None)
        if promise is not None:
            pace, deviation = _combined(pace, deviation, 1 / promise.duration(self._total), promise.spread)
        left = self._spent((1 - work) / pace, share, now)
        slowest = self._slices.left()
        if slowest is not None and share < 1:
            left = max(left, slowest - max(0.0, now - self._slices.at))
        return left, deviation

    def _share(self) -> float:
        past = self._past
        return min(1.0, past.points[-1][1] / self._total) if past and past.points and self._total else 0.0

    def _spent(self, left: float, share: float, now: float) -> float:
        """Return what is left at `now` of what was left at the last advance."""
        assert self._past is not None
        silence = self._past.silence(now)
        if share >= 1:
            # A tail without progress; one that is overdue is expected to last half as long again.
            return max(left - silence, 0.5 * max(0.0, silence - left), 0.02 * (now - self._past.began))
        stands = self._past.stands(now)
        moving = min(silence, self._past.usual_gap()) if stands or self._past.gaps else silence
        return max(left - moving, 0.3 * left) + 0.5 * stands

    def _promised(self, elapsed: float) -> tuple[float | None, float]:
        if self._promise is None:
            return None, 0.0
        whole = self._promise.duration(self._total)
        return max(whole - elapsed, 0.5 * max(0.0, elapsed - whole), 0.05 * whole), self._promise.spread

    def _work(self, units: float) -> float:
        curve = self._promise.curve if self._promise else _LINE
        place = min(1.0, units / self._total) * 20 if self._total else 0.0
        low = min(19, int(place))
        return curve[low] + (curve[low + 1] - curve[low]) * (place - low)

    def _damped(self, left: float, now: float) -> float:
        """Move the end that is shown towards the estimated one; jump when it is off by more than 30 %."""
        if self._shown is not None and now >= self._shown[0]:
            at, end = self._shown
            shown = end - now
            if shown > 0 and abs(left - shown) <= _JUMP * max(left, shown):
                span = _CALM * (left + (now - self._past.began if self._past else 0.0))
                left = shown + (left - shown) * (1 - math.exp(-(now - at) / span))
        self._shown = (now, now + left)
        return left


def _combined(pace: float, deviation: float, promised: float, spread: float) -> tuple[float, float]:
    measured, prior = deviation**-2, spread**-2
    log = (math.log(pace) * measured + math.log(promised) * prior) / (measured + prior)
    return math.exp(log), (measured + prior) ** -0.5


def _reached(points: list[tuple[float, float]], units: float) -> float:
    before = points[0]
    for ts, done in points:
        if done >= units:
            span = done - before[1]
            return before[0] + (ts - before[0]) * ((units - before[1]) / span if span > 0 else 1.0)
        before = (ts, done)
    return points[-1][0]
