"""When a run will be done: a median with a 10 % to 90 % band, from its progress and its job's earlier runs.

Pure: times are seconds, the clock is an argument. Answers (None, None, None) when nothing can be known (H4).
"""

from collections.abc import Iterable, Sequence

from history.estimating.estimator.estimator import Estimator
from history.estimating.estimator.observed import EarlierRun, Eta, Progress

__all__ = ["EarlierRun", "Estimator", "Eta", "Progress", "estimate"]


def estimate(earlier_runs: Sequence[object], events: Iterable[object], now: float) -> Eta:
    """Return (eta_seconds, low, high) at `now`, after these events; see `Estimator` for their shapes."""
    estimator = Estimator()
    estimator.reset(earlier_runs)
    for event in events:
        estimator.push(event)
    return estimator.eta(now)
