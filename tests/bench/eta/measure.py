"""How far off predicted ends were, how much they jumped, and how often the band held the end."""

from dataclasses import dataclass
from itertools import pairwise

from history.estimating.estimator import Estimator
from tests.bench.eta.peers import Foreteller
from tests.bench.eta.traces import Trace

WORST = 2.0  # an instant counts as at most twice the duration off, else one wild instant outweighs a whole run


@dataclass(frozen=True, slots=True)
class Result:
    """Area under |predicted end - true end| / duration, sum of the predicted end's jumps / duration, band's share."""

    area: float
    jumps: float
    held: float | None = None


def follow(trace: Trace, peer: Foreteller) -> Result:
    """Let a peer follow a run."""
    ends = []
    for event in trace.events:
        peer.push(event)
        left = peer.left(event.ts)
        ends.append((event.ts, None if left is None else event.ts + left))
    return Result(_area(trace, ends), _jumps(trace, ends))


def follow_ours(trace: Trace) -> Result:
    """Let our estimator follow a run. Raises AssertionError for an answer that must never be given."""
    estimator = Estimator()
    estimator.reset(trace.earlier)
    ends: list[tuple[float, float | None]] = []
    held = shown = 0
    for event in trace.events:
        estimator.push(event)
        left, low, high = estimator.eta(event.ts)
        if left is None or low is None or high is None:
            ends.append((event.ts, None))
            continue
        assert 0 < low <= left <= high < float("inf"), (left, low, high)
        ends.append((event.ts, event.ts + left))
        shown += 1
        held += event.ts + low <= trace.started_at + trace.duration <= event.ts + high
    return Result(_area(trace, ends), _jumps(trace, ends), held / shown if shown else None)


def _area(trace: Trace, ends: list[tuple[float, float | None]]) -> float:
    true_end, area, before = trace.started_at + trace.duration, 0.0, trace.started_at
    for (ts, end), following in zip(ends, [*(ts for ts, _ in ends[1:]), true_end], strict=True):
        # Without an answer a reader knows nothing of what is left, which is all of it wrong.
        off = abs((ts if end is None else end) - true_end) / trace.duration
        area += min(WORST, off) * (following - ts) / trace.duration
        before = following
    assert before == true_end
    return area


def _jumps(trace: Trace, ends: list[tuple[float, float | None]]) -> float:
    known = [end for _, end in ends if end is not None]
    return sum(min(WORST, abs(one - other) / trace.duration) for one, other in pairwise(known))
