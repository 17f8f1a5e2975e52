"""Estimates of the time remaining: a median with a 10 % to 90 % band, from a run's progress and its job's earlier runs.

Pure: times are in seconds and the clock is an argument. The answer is (None, None, None) while nothing is known (H4).
The package depends on the standard library alone; every package of the service may import it.
"""

from collections.abc import Iterable, Sequence

from history.estimating.estimator.estimator import Estimator
from history.estimating.estimator.observations import EarlierRun, ProgressSample, TimeRemaining

__all__ = ["EarlierRun", "Estimator", "ProgressSample", "TimeRemaining", "estimate"]


def estimate(earlier_runs: Sequence[object], samples: Iterable[object], now: float) -> TimeRemaining:
    """Return (median, low, high) of the seconds remaining at `now`; see `Estimator` for what the arguments hold."""
    estimator = Estimator()
    estimator.reset(earlier_runs)
    for sample in samples:
        estimator.observe(sample)
    return estimator.estimate(now)
