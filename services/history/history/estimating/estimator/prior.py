"""The prior: what a job's earlier runs lead to expect of the next one, before and while it runs.

Duration against size is a power law, fitted as a log-log regression with exponentially discounted weights and a slope
that is shrunk towards 1 (a Gaussian prior on it, as in ridge regression). Every deviation is shrunk in the same way:
a usual value counts as so many runs more.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from history.estimating.estimator.observations import CURVE_POINTS, EarlierRun

_MAX_RUNS = 20
_DISCOUNT = 0.93  # weight of a run against the next later one
# The usual value, and the number of runs that it counts for.
_USUAL_SPREAD, _SPREAD_RUNS = 0.2, 1.5
_USUAL_DRIFT, _DRIFT_RUNS = 0.15, 1.0
_USUAL_SIZE_DEVIATION, _SIZE_RUNS = 0.2, 1.0
_USUAL_COVERAGE, _COVERAGE_RUNS = 0.8, 2
_USUAL_SLOPE, _SLOPE_WEIGHT = 1.0, 0.5
_MAX_SIZE_DEVIATIONS = 2.0
_MAX_ERROR = 1.5  # of one run, as a logarithm: one outlier must not set the spread
_MIN_SECONDS = 0.001  # of a predicted duration, which is a divisor
_DRIFT_STEPS = (4, 8, 12, 16)  # 20, 40, 60 and 80 % of the units
LINEAR_CURVE = tuple(step / (CURVE_POINTS - 1) for step in range(CURVE_POINTS))


@dataclass(frozen=True, slots=True)
class Prior:
    """Expected duration (log-log in the size), its spread, and the typical course of the job's runs.

    `log_duration` is the expected logarithm of the duration in seconds at `log_size`, the mean logarithm of the sizes
    in units; `slope` is the exponent of the power law, and `max_extrapolation` how far from `log_size` it is followed.
    `spread` is the standard deviation of the logarithm of the duration. `drift` is that of the time remaining as
    predicted from a run's pace at half of its time. `curve` is the typical time curve (see `EarlierRun`), and
    `coverage` what the job's bands have achieved so far, or None while no run has been scored.
    """

    log_duration: float
    slope: float
    log_size: float
    max_extrapolation: float
    spread: float
    drift: float
    curve: tuple[float, ...]
    coverage: float | None

    def predict_duration(self, units: float | None) -> float:
        """Return the expected duration in seconds of a run of so many units; None stands for the job's usual size."""
        offset = (math.log(units) if units and units > 0 else self.log_size) - self.log_size
        limited = max(-self.max_extrapolation, min(self.max_extrapolation, offset))
        return max(_MIN_SECONDS, math.exp(self.log_duration + self.slope * limited))


def fit_prior(earlier_runs: Sequence[object]) -> Prior | None:
    """Return the prior from the latest successful ones of these runs, or None without any."""
    runs = [run for run in map(EarlierRun.from_object, earlier_runs) if run.status == "succeeded" and run.duration > 0]
    runs = sorted(runs, key=lambda run: run.started_at)[-_MAX_RUNS:]
    if not runs:
        return None
    weights = [_DISCOUNT ** (len(runs) - 1 - index) for index in range(len(runs))]
    log_sizes = [math.log(run.units_total) if run.units_total else 0.0 for run in runs]
    log_durations = [math.log(run.duration) for run in runs]
    log_size, log_duration = _weighted_mean(log_sizes, weights), _weighted_mean(log_durations, weights)
    slope = _fit_slope(
        [each - log_size for each in log_sizes], [each - log_duration for each in log_durations], weights
    )
    errors = [
        actual - log_duration - slope * (size - log_size) for actual, size in zip(log_durations, log_sizes, strict=True)
    ]
    curves = [run.curve for run in runs if run.curve is not None]
    size_deviation = _shrunk_deviation([each - log_size for each in log_sizes], _USUAL_SIZE_DEVIATION, _SIZE_RUNS)
    return Prior(
        log_duration=log_duration,
        slope=slope,
        log_size=log_size,
        # A total far from all earlier sizes is more likely to be a wrong total than such a run.
        max_extrapolation=_MAX_SIZE_DEVIATIONS * size_deviation + 0.1,
        spread=_shrunk_deviation(errors, _USUAL_SPREAD, _SPREAD_RUNS) * math.sqrt(1 + 1 / len(runs)),
        drift=_measure_drift(curves),
        curve=_median_curve(curves) if curves else LINEAR_CURVE,
        coverage=_shrunk_coverage(runs),
    )


def _fit_slope(sizes: list[float], durations: list[float], weights: list[float]) -> float:
    covariance = sum(w * x * y for w, x, y in zip(weights, sizes, durations, strict=True))
    variance = sum(w * x * x for w, x in zip(weights, sizes, strict=True))
    return (covariance + _SLOPE_WEIGHT * _USUAL_SLOPE) / (variance + _SLOPE_WEIGHT)


def _median_curve(curves: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """Return the pointwise median of time curves, forced to be non-decreasing."""
    medians = [median(column) for column in zip(*curves, strict=True)]
    return tuple(max(medians[: index + 1]) for index in range(CURVE_POINTS))


def _measure_drift(curves: Sequence[tuple[float, ...]]) -> float:
    """Return the error of predictions from a run's pace and the other runs' curve, by leave-one-out validation."""
    errors = []
    for left_out in range(len(curves) if len(curves) > 1 else 0):
        others = _median_curve([curve for index, curve in enumerate(curves) if index != left_out])
        for step in _DRIFT_STEPS:
            elapsed, expected = curves[left_out][step], others[step]
            remaining, predicted = 1 - elapsed, (1 - expected) * elapsed / expected if expected > 0 else 0.0
            if remaining > 0 and predicted > 0:
                errors.append(math.log(remaining / predicted) * math.sqrt(expected / (1 - expected)))
    return _shrunk_deviation(errors, _USUAL_DRIFT, len(_DRIFT_STEPS) * _DRIFT_RUNS)


def _shrunk_coverage(runs: Sequence[EarlierRun]) -> float | None:
    """Return the mean coverage, shrunk towards the target so that a single run does not overturn the band."""
    known = [run.coverage for run in runs if run.coverage is not None]
    return (sum(known) + _USUAL_COVERAGE * _COVERAGE_RUNS) / (len(known) + _COVERAGE_RUNS) if known else None


def _shrunk_deviation(errors: Sequence[float], usual: float, weight: float) -> float:
    clipped = [max(-_MAX_ERROR, min(_MAX_ERROR, error)) for error in errors]
    return math.sqrt((sum(error * error for error in clipped) + weight * usual * usual) / (len(clipped) + weight))


def _weighted_mean(values: Sequence[float], weights: Sequence[float]) -> float:
    return sum(w * x for w, x in zip(weights, values, strict=True)) / sum(weights)
