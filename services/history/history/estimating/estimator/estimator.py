"""The estimator of one run's time remaining, updated one progress sample at a time."""

import math
from collections.abc import Sequence
from typing import Any, Self

from history.estimating.estimator.band import Uncertainty, add_band, pace_deviation
from history.estimating.estimator.observations import CURVE_POINTS, UNKNOWN, ProgressSample, TimeRemaining
from history.estimating.estimator.pace import estimate_pace
from history.estimating.estimator.prior import LINEAR_CURVE, Prior, fit_prior
from history.estimating.estimator.slices import SliceProgress
from history.estimating.estimator.trajectory import Trajectory

_MIN_SECONDS = 0.001
# What has lasted t seconds lasts another 0.5 t in half of the cases: the median of a Lomax distribution, see `band`.
_STALL_CONTINUES = 0.5
_JUMP_FRACTION = 0.3
_SMOOTHING_FRACTION = 0.015
_STEPS = CURVE_POINTS - 1


class Estimator:
    """Estimates when one run will end. The method, and where each part of it comes from:

    - Work is measured in expected time, by the time curves of earlier runs, as build systems do for known steps.
    - The pace is a combination of trailing windows, weighted by a backtest on this run (`pace`).
    - A log-log regression of earlier durations on sizes gives a prior (`prior`). Prior and pace are combined as a
      precision-weighted mean, the Bayesian update of a log-normal duration, so the pace takes over as the run proceeds.
    - Stalls are excluded from the pace and their recurring fraction is added back; a stall in progress is expected to
      last half as long again, the median for durations without a scale (`band`).
    - The slowest slice of a shared run decides (`slices`).
    - The displayed end is smoothed exponentially, and jumps where it is off by more than 30 %.
    - The band comes from the errors of earlier estimates (`band`).

    All times are in seconds, instants in seconds since the epoch, units are rows.
    """

    def __init__(self) -> None:
        self._prior: Prior | None = None
        self._trajectory: Trajectory | None = None
        self._slices = SliceProgress()
        self._total: float | None = None
        self._sampled_at = 0.0
        self._displayed: tuple[float, float] | None = None

    def reset(self, earlier_runs: Sequence[object]) -> None:
        """Begin a new run; `earlier_runs` are its job's, in any order, as `EarlierRun` or objects of its fields."""
        self._prior = fit_prior(earlier_runs)
        self._trajectory, self._slices, self._total, self._displayed = None, SliceProgress(), None, None

    def observe(self, item: object) -> None:
        """Add a `ProgressSample`, or an object of its fields; one that is not newer than the last is ignored."""
        sample = item if isinstance(item, ProgressSample) else ProgressSample.from_object(item)
        if self._trajectory is None:
            self._trajectory = Trajectory(sample.ts)
        elif sample.ts <= self._sampled_at:
            return
        self._sampled_at = sample.ts
        if sample.units_total and sample.units_total != self._total:
            self._total, self._displayed = sample.units_total, None  # the displayed end rested on another total
        self._trajectory.add(sample.ts, sample.units_done)
        self._slices.add(sample.ts, sample.slices)

    def start(self, ts: float) -> None:
        """Record when the run started, where that is known before its first sample."""
        self._trajectory = self._trajectory or Trajectory(ts)
        # A sample may have arrived earlier: the order of messages between topics is not defined.
        self._trajectory.started_at = min(self._trajectory.started_at, ts)
        self._sampled_at = max(self._sampled_at, ts)

    def estimate(self, now: float) -> TimeRemaining:
        """Return the median and the 10 % to 90 % band of the seconds remaining; all None while nothing is known."""
        remaining, deviation = self._predict_remaining(now)
        if remaining is None:
            return UNKNOWN
        trajectory, prior = self._trajectory, self._prior
        slack = trajectory.typical_gap() / 2 + 0.003 * max(0.0, now - trajectory.started_at) if trajectory else 0.0
        progress = self._fraction_done()
        stall = trajectory.current_stall(now) if trajectory and progress < 1 else 0.0
        coverage = prior.coverage if prior else None
        uncertainty = Uncertainty(deviation, progress, prior is not None, slack, coverage, stall)
        return add_band(self._smooth(max(remaining, _MIN_SECONDS), now), uncertainty)

    def progress_points(self) -> list[list[float]]:
        """Return pairs of an instant and the units done by then, from the start of the run; 97 at most."""
        trajectory = self._trajectory
        if trajectory is None:
            return []
        return [[trajectory.started_at, 0.0], *([ts, units] for ts, units, _ in trajectory.points)]

    def time_curve(self, total: float, ended_at: float) -> list[float] | None:
        """Return the time curve (see `EarlierRun`) of a run of `total` units that ended at `ended_at`, or None."""
        trajectory = self._trajectory
        if trajectory is None or ended_at <= trajectory.started_at or total <= 0:
            return None
        started_at = trajectory.started_at
        points = [(started_at, 0.0), *((ts, units) for ts, units, _ in trajectory.points), (ended_at, total)]
        times = (_time_reaching(points, total * step / _STEPS) for step in range(CURVE_POINTS))
        return [(time - started_at) / (ended_at - started_at) for time in times]

    def dump(self) -> dict[str, Any]:
        """Return the state from which another process continues, as JSON values of a few KB.

        The keys are those that stored states have, so that a new release continues the runs of the one before.
        """
        return {
            "past": self._trajectory.dump() if self._trajectory else None,
            "slices": self._slices.dump(),
            "total": self._total,
            "seen_at": self._sampled_at,
            "shown": self._displayed,
        }

    @classmethod
    def load(cls, state: dict[str, Any], earlier_runs: Sequence[object]) -> Self:
        """Return the estimator whose `dump` this is."""
        estimator = cls()
        estimator.reset(earlier_runs)
        estimator._trajectory = Trajectory.load(state["past"]) if state["past"] else None
        estimator._slices = SliceProgress.load(state["slices"])
        estimator._total, estimator._sampled_at = state["total"], state["seen_at"]
        estimator._displayed = (state["shown"][0], state["shown"][1]) if state["shown"] else None
        return estimator

    def _predict_remaining(self, now: float) -> tuple[float | None, float]:
        """Return the seconds remaining before smoothing, and the standard deviation of their logarithm."""
        trajectory, prior = self._trajectory, self._prior
        elapsed = now - trajectory.started_at if trajectory else 0.0
        if trajectory is None or self._total is None or not trajectory.points:
            return self._predict_from_prior(elapsed)
        measured = estimate_pace(trajectory, self._work_at)
        if measured is None:
            return self._predict_from_prior(elapsed)
        work, (pace, pace_error) = self._work_at(trajectory.points[-1][1]), measured
        pace /= 1 + trajectory.recurring_stall_ratio(now)
        deviation = pace_deviation(work, pace_error, prior.drift if prior else None)
        if prior is not None:
            expected = 1 / prior.predict_duration(self._total)
            pace, deviation = _combine((pace, deviation), (expected, prior.spread))
        progress = self._fraction_done()
        remaining = self._subtract_idle(trajectory, (1 - work) / pace, now)
        slowest = self._slices.slowest_remaining()
        if slowest is not None and progress < 1:
            remaining = max(remaining, slowest - max(0.0, now - self._slices.sampled_at))
        return remaining, deviation

    def _predict_from_prior(self, elapsed: float) -> tuple[float | None, float]:
        if self._prior is None:
            return None, 0.0
        whole = self._prior.predict_duration(self._total)
        overdue = max(0.0, elapsed - whole)
        return max(whole - elapsed, _STALL_CONTINUES * overdue, 0.05 * whole), self._prior.spread

    def _fraction_done(self) -> float:
        trajectory = self._trajectory
        if trajectory is None or not trajectory.points or not self._total:
            return 0.0
        return min(1.0, trajectory.points[-1][1] / self._total)

    def _subtract_idle(self, trajectory: Trajectory, remaining: float, now: float) -> float:
        """Return what remains at `now` of the seconds that remained at the last advance."""
        idle = trajectory.idle_seconds(now)
        if self._fraction_done() >= 1:
            # The tail after the last unit shows no progress; one that is overdue lasts half as long again.
            overdue = max(0.0, idle - remaining)
            return max(remaining - idle, _STALL_CONTINUES * overdue, 0.02 * (now - trajectory.started_at))
        stall = trajectory.current_stall(now)
        working = min(idle, trajectory.typical_gap()) if stall or trajectory.gaps else idle
        return max(remaining - working, 0.3 * remaining) + _STALL_CONTINUES * stall

    def _work_at(self, units: float) -> float:
        """Return the fraction of the work, measured in expected time, that is done after so many units."""
        curve = self._prior.curve if self._prior else LINEAR_CURVE
        position = min(1.0, units / self._total) * _STEPS if self._total else 0.0
        step = min(_STEPS - 1, int(position))
        return curve[step] + (curve[step + 1] - curve[step]) * (position - step)

    def _smooth(self, remaining: float, now: float) -> float:
        """Move the displayed end exponentially towards the estimated one; jump where it is off by more than 30 %."""
        if self._displayed is not None and now >= self._displayed[0]:
            at, end = self._displayed
            displayed = end - now
            if displayed > 0 and abs(remaining - displayed) <= _JUMP_FRACTION * max(remaining, displayed):
                elapsed = now - self._trajectory.started_at if self._trajectory else 0.0
                time_constant = _SMOOTHING_FRACTION * (remaining + elapsed)
                remaining = displayed + (remaining - displayed) * (1 - math.exp(-(now - at) / time_constant))
        self._displayed = (now, now + remaining)
        return remaining


def _combine(measured: tuple[float, float], expected: tuple[float, float]) -> tuple[float, float]:
    """Return the precision-weighted mean of two paces, each with the standard deviation of its logarithm."""
    (pace, deviation), (prior_pace, spread) = measured, expected
    precision, prior_precision = deviation**-2, spread**-2
    log = (math.log(pace) * precision + math.log(prior_pace) * prior_precision) / (precision + prior_precision)
    return math.exp(log), (precision + prior_precision) ** -0.5


def _time_reaching(points: list[tuple[float, float]], units: float) -> float:
    before = points[0]
    for ts, done in points:
        if done >= units:
            span = done - before[1]
            return before[0] + (ts - before[0]) * ((units - before[1]) / span if span > 0 else 1.0)
        before = (ts, done)
    return points[-1][0]
