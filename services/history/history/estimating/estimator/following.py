"""One run as the estimates follow it: its estimator, what was shown, and what may not go backwards."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from history.estimating.estimator.estimator import Estimator
from history.estimating.estimator.observed import UNKNOWN, EarlierRun, Eta, Progress
from history.estimating.estimator.promise import median

_SHOWN = 64
_NEARLY = 0.999


@dataclass(slots=True)
class Shown:
    """Estimates shown around one instant: predicted end and its band (seconds since the epoch), and how many."""

    end: float
    low: float
    high: float
    ts: float
    count: int


@dataclass(slots=True)
class Following:
    """A run that has not ended. Progress shown never goes backwards, and is below 1 while the run is running (H4)."""

    estimator: Estimator
    wait: float = 0.0
    queued_at: float | None = None
    began_at: float | None = None
    share: float | None = None
    shown: list[Shown] = field(default_factory=list)

    @classmethod
    def begin(
        cls, earlier_runs: Sequence[EarlierRun], waits: Sequence[float] = (), state: dict[str, Any] | None = None
    ) -> "Following":
        """Follow a run from its beginning, or from a state that was dumped; `waits` are earlier runs' in the queue."""
        wait = median(waits) if waits else 0.0
        if state is None:
            estimator = Estimator()
            estimator.reset(earlier_runs)
            return cls(estimator, wait)
        shown = [Shown(*each) for each in state["shown"]]
        estimator = Estimator.load(state["estimator"], earlier_runs)
        return cls(estimator, wait, state["queued_at"], state["began_at"], state["share"], shown)

    def queued(self, ts: float) -> None:
        """Say since when the run waits for an exporter."""
        self.queued_at = ts if self.queued_at is None else min(ts, self.queued_at)

    def started(self, ts: float) -> None:
        """Say that an exporter has begun, or begun again."""
        self.began_at = ts
        self.estimator.begin(ts)

    def dump(self) -> dict[str, Any]:
        """Return what is needed to go on elsewhere."""
        shown = [[each.end, each.low, each.high, each.ts, each.count] for each in self.shown]
        times = {"queued_at": self.queued_at, "began_at": self.began_at}
        return {"estimator": self.estimator.dump(), "share": self.share, "shown": shown, **times}

    def push(self, progress: Progress) -> None:
        """Take the run's next progress."""
        if self.began_at is None:
            self.began_at = progress.ts
        self.estimator.push(progress)
        if progress.units_total:
            self.share = max(self.share or 0.0, min(_NEARLY, progress.units_done / progress.units_total))

    def eta(self, now: float) -> Eta:
        """Return the estimate to show now, and remember it for the score."""
        eta = self._waiting(self.estimator.eta(now), now) if self.began_at is None else self.estimator.eta(now)
        if eta != UNKNOWN and eta[0] is not None and eta[1] is not None and eta[2] is not None:
            self.shown.append(Shown(now + eta[0], now + eta[1], now + eta[2], now, 1))
            if len(self.shown) > _SHOWN:
                self.shown = [_joined(*self.shown[place : place + 2]) for place in range(0, len(self.shown), 2)]
        return eta

    def _waiting(self, eta: Eta, now: float) -> Eta:
        """Add what is left of waiting in the queue; a wait that is overdue is expected to last half as long again."""
        waited = max(0.0, now - self.queued_at) if self.queued_at is not None else 0.0
        left = max(self.wait - waited, 0.5 * max(0.0, waited - self.wait))
        return UNKNOWN if eta[0] is None else (eta[0] + left, eta[1] + 0.3 * left, eta[2] + 2 * left)

    def score(self, began: float, ended: float) -> tuple[float, float] | None:
        """Return the mean error of what was shown, as a share of the duration, and the share that the band held.

        None where nothing was shown.
        """
        count = sum(each.count for each in self.shown)
        if not count or ended <= began:
            return None
        error = sum(abs(each.end - ended) * each.count for each in self.shown) / count / (ended - began)
        held = sum(each.count for each in self.shown if each.low <= ended <= each.high)
        return error, held / count


def _joined(first: Shown, second: Shown | None = None) -> Shown:
    if second is None:
        return first
    count = first.count + second.count

    def mean(one: float, other: float) -> float:
        return (one * first.count + other * second.count) / count

    return Shown(
        mean(first.end, second.end), mean(first.low, second.low), mean(first.high, second.high), first.ts, count
    )
