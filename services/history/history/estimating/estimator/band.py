"""The 10 % to 90 % band around an estimate, from the errors of earlier estimates.

The constants are quantiles of log(actual / estimated time remaining) over the generated runs of `make bench-eta`. The
scores of a job's own runs then scale the band, as in adaptive conformal inference (Gibbs and Candès, "Adaptive
Conformal Inference Under Distribution Shift", 2021), with one step per run.
"""

import math
from dataclasses import dataclass

from history.estimating.estimator.observations import TimeRemaining

TARGET_COVERAGE = 0.8
_GAIN = 1.5  # of the correction by a job's own coverage
_MIN_SECONDS = 0.001
# What is left of a stall that has lasted t seconds follows a Lomax distribution (Pareto type II, without a scale of its
# own): its q quantile is t * ((1 - q) ** (-1 / a) - 1). With a = 1.71 the median is 0.5 t, which the estimate includes,
# and the 10 % and 90 % quantiles are 0.06 t and 2.84 t: 0.44 t below the median and 2.34 t above it.
_STALL_BELOW, _STALL_ABOVE = 0.44, 2.34


@dataclass(frozen=True, slots=True)
class Uncertainty:
    """What determines the width of a band.

    `deviation` is the standard deviation of the logarithm of the time remaining, `progress` the fraction of the units
    done, and `has_prior` whether the job has earlier runs. `slack` is the resolution in seconds: the gap between two
    samples and a small fraction of the elapsed time. `coverage` is what the job's bands have achieved so far.
    `stall_seconds` is how long the run has stalled: it may continue at once or stay stalled for long.
    """

    deviation: float
    progress: float
    has_prior: bool
    slack: float
    coverage: float | None = None
    stall_seconds: float = 0.0


def pace_deviation(work_done: float, pace_error: float, drift: float | None) -> float:
    """Return the standard deviation of the logarithm of the time remaining as predicted from the run's own pace.

    `work_done` is the fraction of the work done, `pace_error` the error that the pace has shown in this run so far, and
    `drift` the deviation of earlier runs from their pace, or None without earlier runs.
    """
    if drift is None:
        return 0.05 + 0.6 * pace_error
    return max(0.03, drift * math.sqrt((1 - 0.9 * work_done) / max(work_done, 0.005))) + 0.3 * pace_error


def add_band(remaining: float, uncertainty: Uncertainty) -> TimeRemaining:
    """Return (remaining, low, high) in seconds.

    The band widens for a job whose bands have covered less than the target, and narrows where they have covered more.
    """
    down, up = _widths_with_prior(uncertainty) if uncertainty.has_prior else _widths_without_prior(uncertainty)
    if uncertainty.coverage is not None:
        factor = math.exp(_GAIN * (TARGET_COVERAGE - uncertainty.coverage))
        down, up = down * factor, up * factor
    low = remaining * math.exp(-down) - uncertainty.slack - _STALL_BELOW * uncertainty.stall_seconds
    high = remaining * math.exp(up) + uncertainty.slack + _STALL_ABOVE * uncertainty.stall_seconds
    return remaining, min(remaining, max(low, remaining * 0.02, _MIN_SECONDS)), high


def _widths_with_prior(uncertainty: Uncertainty) -> tuple[float, float]:
    """Return the distances of the 10 % and 90 % quantiles from the median, as logarithms."""
    if uncertainty.progress >= 1:
        return 1.4, 0.4
    return 1.3 * uncertainty.deviation, (1.1 + 1.4 * uncertainty.progress**2) * uncertainty.deviation


def _widths_without_prior(uncertainty: Uncertainty) -> tuple[float, float]:
    """Return the distances as above: without earlier runs, a run may speed up early on or slow down near its end."""
    if uncertainty.progress >= 1:
        return 1.9, 2.2
    width = min(1.1, 0.45 + 3.5 * uncertainty.deviation)
    return (0.05 + 1.6 * (1 - uncertainty.progress) ** 2) * width, (0.3 + 0.7 * uncertainty.progress) * width
