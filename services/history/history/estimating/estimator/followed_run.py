"""A run followed from its queueing to its end: its estimator, the displayed estimates, and monotonic progress."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from history.estimating.estimator.estimator import Estimator
from history.estimating.estimator.observations import UNKNOWN, EarlierRun, ProgressSample, TimeRemaining

_MAX_DISPLAYED = 64
_MAX_PROGRESS = 0.999
# A wait in the queue that is overdue lasts half as long again, as a stall does (see `Estimator`).
_WAIT_CONTINUES = 0.5
_LOW_WAIT, _HIGH_WAIT = 0.3, 2.0  # the band of the wait, as multiples of its median


@dataclass(slots=True)
class DisplayedEstimate:
    """The mean of `count` estimates displayed from `ts` on: the end and its band, all in seconds since the epoch."""

    end: float
    low: float
    high: float
    ts: float
    count: int


@dataclass(slots=True)
class FollowedRun:
    """A run that has not ended. Its progress never decreases, and stays below 1 while the run is running (H4).

    `typical_wait` is the median of earlier runs' seconds in the queue.
    """

    estimator: Estimator
    typical_wait: float = 0.0
    queued_at: float | None = None
    started_at: float | None = None
    progress: float | None = None
    displayed: list[DisplayedEstimate] = field(default_factory=list)

    @classmethod
    def begin(
        cls, earlier_runs: Sequence[EarlierRun], waits: Sequence[float] = (), state: dict[str, Any] | None = None
    ) -> "FollowedRun":
        """Follow a run from its beginning, or from a dumped state; `waits` are earlier runs' seconds in the queue."""
        typical_wait = median(waits) if waits else 0.0
        if state is None:
            estimator = Estimator()
            estimator.reset(earlier_runs)
            return cls(estimator, typical_wait)
        return cls(
            Estimator.load(state["estimator"], earlier_runs),
            typical_wait,
            queued_at=state["queued_at"],
            started_at=state["began_at"],
            progress=state["share"],
            displayed=[DisplayedEstimate(*each) for each in state["shown"]],
        )

    def mark_queued(self, ts: float) -> None:
        """Record since when the run waits for an exporter."""
        self.queued_at = ts if self.queued_at is None else min(ts, self.queued_at)

    def mark_started(self, ts: float) -> None:
        """Record that an exporter has started the run, or started it again."""
        self.started_at = ts
        self.estimator.start(ts)

    def dump(self) -> dict[str, Any]:
        """Return the state for storage, as JSON values; the keys are those that stored states have."""
        return {
            "estimator": self.estimator.dump(),
            "share": self.progress,
            "shown": [[each.end, each.low, each.high, each.ts, each.count] for each in self.displayed],
            "queued_at": self.queued_at,
            "began_at": self.started_at,
        }

    def observe(self, sample: ProgressSample) -> None:
        """Add the run's next progress sample."""
        if self.started_at is None:
            self.started_at = sample.ts
        self.estimator.observe(sample)
        if sample.units_total:
            progress = min(_MAX_PROGRESS, sample.units_done / sample.units_total)
            self.progress = max(self.progress or 0.0, progress)

    def estimate(self, now: float) -> TimeRemaining:
        """Return the seconds remaining to display at `now`, and keep them for the score."""
        remaining = self.estimator.estimate(now)
        if self.started_at is None:
            remaining = self._add_wait(remaining, now)
        if remaining[0] is not None:
            end, low, high = (now + each for each in remaining)
            self.displayed.append(DisplayedEstimate(end, low, high, now, 1))
            if len(self.displayed) > _MAX_DISPLAYED:
                self._merge_displayed()
        return remaining

    def score(self, started_at: float, ended_at: float) -> tuple[float, float] | None:
        """Return (error ratio, coverage) of the displayed estimates, or None where there were none (H5).

        The error ratio is the mean absolute error of the displayed ends as a fraction of the duration; the coverage is
        the fraction of the estimates whose band contained the actual end.
        """
        count = sum(each.count for each in self.displayed)
        if not count or ended_at <= started_at:
            return None
        error = sum(abs(each.end - ended_at) * each.count for each in self.displayed) / count
        covered = sum(each.count for each in self.displayed if each.low <= ended_at <= each.high)
        return error / (ended_at - started_at), covered / count

    def _add_wait(self, remaining: TimeRemaining, now: float) -> TimeRemaining:
        """Add the rest of the wait in the queue."""
        if remaining[0] is None:
            return UNKNOWN
        waited = max(0.0, now - self.queued_at) if self.queued_at is not None else 0.0
        wait = max(self.typical_wait - waited, _WAIT_CONTINUES * max(0.0, waited - self.typical_wait))
        return remaining[0] + wait, remaining[1] + _LOW_WAIT * wait, remaining[2] + _HIGH_WAIT * wait

    def _merge_displayed(self) -> None:
        """Halve the displayed estimates by merging each with its neighbour."""
        pairs = (self.displayed[index : index + 2] for index in range(0, len(self.displayed), 2))
        self.displayed = [_merge(*pair) for pair in pairs]


def _merge(first: DisplayedEstimate, second: DisplayedEstimate | None = None) -> DisplayedEstimate:
    if second is None:
        return first
    count = first.count + second.count

    def mean(one: float, other: float) -> float:
        return (one * first.count + other * second.count) / count

    return DisplayedEstimate(
        end=mean(first.end, second.end),
        low=mean(first.low, second.low),
        high=mean(first.high, second.high),
        ts=first.ts,
        count=count,
    )
