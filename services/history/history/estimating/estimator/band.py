"""The band around an estimate: how far off such estimates were before.

The numbers are quantiles of log(true / estimated time left) over the generated runs of `make bench-eta`; a job's own
runs then widen or narrow the band by what earlier ones held (conformal, in steps of a run).
"""

import math
from dataclasses import dataclass

from history.estimating.estimator.observed import Eta

_TARGET = 0.8
_LEAST = 0.001
# What has stood still for t goes on after 0.5 t in half of the cases; for such a wait without a scale (Lomax, a = 1.71)
# the tenths are at 0.06 t and 2.84 t, of which the estimate has the half already.
_SOON, _LONG = 0.44, 2.34


@dataclass(frozen=True, slots=True)
class Doubt:
    """What an estimate rests on: deviation of its logarithm, share of the units done, whether earlier runs were there.

    `slack` in seconds is what cannot be told apart: the gap between two events, and a small part of what has elapsed.
    `stalled` is for how long the run has stood still, beyond what is usual: it may go on at once, or stand for long.
    """

    deviation: float
    share: float
    founded: bool
    slack: float
    coverage: float | None = None
    stalled: float = 0.0


def measured_deviation(work: float, off: float, wander: float | None) -> float:
    """Return the deviation of the logarithm of what is left, as foretold from the run's own pace after `work` is done.

    `off` is by how much the pace would have misled in this run so far; `wander` by how much in earlier runs.
    """
    if wander is None:
        return 0.05 + 0.6 * off
    return max(0.03, wander * math.sqrt((1 - 0.9 * work) / max(work, 0.005))) + 0.3 * off


def banded(left: float, doubt: Doubt) -> Eta:
    """Return (left, low, high), in seconds.

    A job whose bands held less than four of five ends gets wider ones, and the other way round.
    """
    down, up = _founded(doubt) if doubt.founded else _unfounded(doubt)
    if doubt.coverage is not None:
        factor = math.exp(1.5 * (_TARGET - doubt.coverage))
        down, up = down * factor, up * factor
    low = left * math.exp(-down) - doubt.slack - _SOON * doubt.stalled
    high = left * math.exp(up) + doubt.slack + _LONG * doubt.stalled
    return left, min(left, max(low, left * 0.02, _LEAST)), high


def _founded(doubt: Doubt) -> tuple[float, float]:
    if doubt.share >= 1:
        return 1.4, 0.4
    return 1.3 * doubt.deviation, (1.1 + 1.4 * doubt.share**2) * doubt.deviation


def _unfounded(doubt: Doubt) -> tuple[float, float]:
    """Without earlier runs nobody knows whether a run will get faster (early on) or slower (towards its end)."""
    if doubt.share >= 1:
        return 1.9, 2.2
    width = min(1.1, 0.45 + 3.5 * doubt.deviation)
    return (0.05 + 1.6 * (1 - doubt.share) ** 2) * width, (0.3 + 0.7 * doubt.share) * width
