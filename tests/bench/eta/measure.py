"""How far predicted ends were off, how much they jumped, and how often the band covered the actual end."""

from dataclasses import dataclass
from itertools import pairwise

from history.estimating.estimator import Estimator
from tests.bench.eta.peers import Forecaster
from tests.bench.eta.traces import Trace

MAX_ERROR = 2.0  # durations, for one instant: otherwise a single wild estimate would outweigh a whole run


@dataclass(frozen=True, slots=True)
class Result:
    """Errors of one run's predicted ends, as fractions of its duration.

    `area` is the area under |predicted end - actual end| over time, `jumps` the sum of the predicted end's changes, and
    `coverage` the fraction of the estimates whose band contained the actual end.
    """

    area: float
    jumps: float
    coverage: float | None = None


def follow(trace: Trace, peer: Forecaster) -> Result:
    """Return the result of a peer that follows a run."""
    ends = []
    for event in trace.events:
        peer.push(event)
        remaining = peer.seconds_remaining(event.ts)
        ends.append((event.ts, None if remaining is None else event.ts + remaining))
    return Result(_area(trace, ends), _jumps(trace, ends))


def follow_ours(trace: Trace) -> Result:
    """Return the result of our estimator on a run. Raises AssertionError for an invalid estimate."""
    estimator = Estimator()
    estimator.reset(trace.earlier)
    ends: list[tuple[float, float | None]] = []
    covered = shown = 0
    for event in trace.events:
        estimator.observe(event)
        median, low, high = estimator.estimate(event.ts)
        if median is None or low is None or high is None:
            ends.append((event.ts, None))
            continue
        assert 0 < low <= median <= high < float("inf"), (median, low, high)
        ends.append((event.ts, event.ts + median))
        shown += 1
        covered += event.ts + low <= trace.started_at + trace.duration <= event.ts + high
    return Result(_area(trace, ends), _jumps(trace, ends), covered / shown if shown else None)


def _area(trace: Trace, ends: list[tuple[float, float | None]]) -> float:
    actual_end, area, before = trace.started_at + trace.duration, 0.0, trace.started_at
    for (ts, end), following in zip(ends, [*(ts for ts, _ in ends[1:]), actual_end], strict=True):
        # No estimate counts as an error of all the time remaining.
        error = abs((ts if end is None else end) - actual_end) / trace.duration
        area += min(MAX_ERROR, error) * (following - ts) / trace.duration
        before = following
    assert before == actual_end
    return area


def _jumps(trace: Trace, ends: list[tuple[float, float | None]]) -> float:
    known = [end for _, end in ends if end is not None]
    return sum(min(MAX_ERROR, abs(one - other) / trace.duration) for one, other in pairwise(known))
