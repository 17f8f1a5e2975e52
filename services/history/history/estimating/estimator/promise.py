"""What a job's earlier runs promise of the next one, before and while it runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from history.estimating.estimator.observed import EarlierRun

_RECENT = 20
# A job's runs are alike: where there are few of them to tell how much, these stand in for as many runs more.
_SPREAD, _SPREAD_RUNS = 0.2, 1.5
_WANDER, _WANDER_RUNS = 0.15, 1.0
# Duration goes with size (log-log, slope 1) unless the runs say otherwise clearly.
_SLOPE, _SLOPE_WEIGHT = 1.0, 0.5
_FADE = 0.93
_SIZES, _REACH = 0.2, 2.0


@dataclass(frozen=True, slots=True)
class Promise:
    """Expected duration (log-log in the size), its spread, and the course of the job's runs.

    `curve` is the fraction of the duration at which 0, 5 ... 100 % of the units are done. `wander` says how far a run
    that has kept a pace up to its middle strays from it afterwards (standard deviation of the logarithm).
    """

    level: float
    slope: float
    size: float
    reach: float
    spread: float
    wander: float
    curve: tuple[float, ...]
    coverage: float | None

    def duration(self, units: float | None) -> float:
        """Return the expected duration of a run of so many units, in seconds."""
        beyond = (math.log(units) if units and units > 0 else self.size) - self.size
        return math.exp(self.level + self.slope * max(-self.reach, min(self.reach, beyond)))


def promise_of(earlier_runs: Sequence[object]) -> Promise | None:
    """Return what the successful ones of these runs promise, or None when there are none."""
    runs = [run for run in map(EarlierRun.of, earlier_runs) if run.status == "succeeded" and run.duration > 0]
    runs = sorted(runs, key=lambda run: run.started_at)[-_RECENT:]
    if not runs:
        return None
    weights = [_FADE ** (len(runs) - 1 - place) for place in range(len(runs))]
    sizes = [math.log(run.units_total) if run.units_total else 0.0 for run in runs]
    lengths = [math.log(run.duration) for run in runs]
    size, level = _mean(sizes, weights), _mean(lengths, weights)
    slope = _slope([each - size for each in sizes], [each - level for each in lengths], weights)
    errors = [length - level - slope * (each - size) for length, each in zip(lengths, sizes, strict=True)]
    curves = [run.curve for run in runs if run.curve is not None]
    return Promise(
        level=level,
        slope=slope,
        size=size,
        # A total far from all sizes so far is more likely to be a wrong total than such a run.
        reach=_REACH * _deviation([each - size for each in sizes], _SIZES, 1.0) + 0.1,
        spread=_deviation(errors, _SPREAD, _SPREAD_RUNS) * math.sqrt(1 + 1 / len(runs)),
        wander=_wander(curves),
        curve=_typical(curves) if curves else tuple(step / 20 for step in range(21)),
        coverage=_coverage(runs),
    )


def _slope(sizes: list[float], lengths: list[float], weights: list[float]) -> float:
    both = sum(w * x * y for w, x, y in zip(weights, sizes, lengths, strict=True))
    own = sum(w * x * x for w, x in zip(weights, sizes, strict=True))
    return (both + _SLOPE_WEIGHT * _SLOPE) / (own + _SLOPE_WEIGHT)


def _typical(curves: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    middle = [median(column) for column in zip(*curves, strict=True)]
    # Never decreasing, whatever was measured.
    return tuple(max(middle[: place + 1]) for place in range(21))


def _wander(curves: Sequence[tuple[float, ...]]) -> float:
    """Leave each curve out in turn, foretell its remainder from its pace so far and the others, and see how far off."""
    errors = []
    for left_out in range(len(curves) if len(curves) > 1 else 0):
        others = _typical([curve for place, curve in enumerate(curves) if place != left_out])
        for step in (4, 8, 12, 16):
            seen, expected = curves[left_out][step], others[step]
            left, hoped = 1 - seen, (1 - expected) * seen / expected if expected > 0 else 0.0
            if left > 0 and hoped > 0:
                errors.append(math.log(left / hoped) * math.sqrt(expected / (1 - expected)))
    return _deviation(errors, _WANDER, 4 * _WANDER_RUNS)


def _coverage(runs: Sequence[EarlierRun]) -> float | None:
    known = [run.coverage for run in runs if run.coverage is not None]
    # Half a run's worth of what is aimed at, so that one run alone does not turn the band over.
    return (sum(known) + 0.8 * 2) / (len(known) + 2) if known else None


def _deviation(errors: Sequence[float], usual: float, weight: float) -> float:
    clipped = [max(-1.5, min(1.5, error)) for error in errors]
    return math.sqrt((sum(error * error for error in clipped) + weight * usual * usual) / (len(clipped) + weight))


def _mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(w * x for w, x in zip(weights, values, strict=True)) / sum(weights)


def median(values: Sequence[float]) -> float:
    """Return the middle value."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
