"""The course of one run so far: a bounded number of points, with stalls counted separately from work."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any

_MAX_POINTS = 96
_MAX_GAPS = 15
# A gap without progress is a stall when it is this many times the typical gap, and this fraction of the run so far.
_STALL_FACTOR, _STALL_FRACTION = 5.0, 0.015
_RESTART_FRACTION = 0.9


@dataclass(slots=True)
class Trajectory:
    """Points (ts, units done, seconds stalled until then), thinned as the run grows; everything is bounded.

    `gaps` are the latest gaps in seconds from one advance to the next, stalls excluded.
    """

    started_at: float
    points: list[tuple[float, float, float]] = field(default_factory=list)
    min_spacing: float = 0.0
    gaps: list[float] = field(default_factory=list)
    advanced_at: float = 0.0
    stalled_seconds: float = 0.0
    stall_count: int = 0

    def add(self, ts: float, units: float) -> None:
        """Record the units done at `ts`; only an advance becomes a point, so that batches do not look like steps."""
        if not self.points:
            self.points = [(ts, units, 0.0)]
            self.advanced_at = ts
            return
        if units < _RESTART_FRACTION * self.points[-1][1]:
            # Another attempt starts from scratch: the earlier points say nothing about when it will end.
            self.started_at, self.points, self.min_spacing, self.advanced_at = ts, [(ts, units, 0.0)], 0.0, ts
            self.gaps, self.stalled_seconds, self.stall_count = [], 0.0, 0
            return
        if units <= self.points[-1][1]:
            return
        self._record_gap(ts)
        point = (ts, units, self.stalled_seconds)
        if len(self.points) > 1 and ts - self.points[-2][0] < self.min_spacing:
            self.points[-1] = point
        else:
            self.points.append(point)
        if len(self.points) > _MAX_POINTS:
            self.points = [*self.points[:-1:2], self.points[-1]]
            self.min_spacing = 1.5 * (ts - self.points[0][0]) / _MAX_POINTS

    def idle_seconds(self, now: float) -> float:
        """Return the seconds since the last advance."""
        return max(0.0, now - self.advanced_at)

    def typical_gap(self) -> float:
        """Return the median seconds from one advance to the next, 0 while unknown."""
        return median(self.gaps) if self.gaps else 0.0

    def current_stall(self, now: float) -> float:
        """Return the seconds by which the current gap exceeds the typical one where it is a stall, else 0."""
        typical = self.typical_gap()
        idle = self.idle_seconds(now)
        if len(self.gaps) < 3 or idle < _STALL_FACTOR * typical or idle < _STALL_FRACTION * (now - self.started_at):
            return 0.0
        return idle - typical

    def recurring_stall_ratio(self, now: float) -> float:
        """Return the seconds of stall to expect per second of work; a single stall is not expected to recur."""
        active = now - self.started_at - self.stalled_seconds
        if self.stall_count <= 1 or active <= 0:
            return 0.0
        return self.stalled_seconds / active * (self.stall_count - 1) / (self.stall_count + 1)

    def _record_gap(self, ts: float) -> None:
        if (stall := self.current_stall(ts)) > 0:
            self.stalled_seconds += stall
            self.stall_count += 1
        else:
            self.gaps = [*self.gaps[-_MAX_GAPS + 1 :], ts - self.advanced_at]
        self.advanced_at = ts

    def dump(self) -> dict[str, Any]:
        """Return the state for storage, as JSON values; the keys are those that stored states have."""
        return {
            "began": self.started_at,
            "points": self.points,
            "every": self.min_spacing,
            "gaps": self.gaps,
            "moved_at": self.advanced_at,
            "stalled": self.stalled_seconds,
            "stalls": self.stall_count,
        }

    @classmethod
    def load(cls, state: dict[str, Any]) -> "Trajectory":
        """Return the object whose `dump` this is."""
        return cls(
            started_at=state["began"],
            points=[(point[0], point[1], point[2]) for point in state["points"]],
            min_spacing=state["every"],
            gaps=state["gaps"],
            advanced_at=state["moved_at"],
            stalled_seconds=state["stalled"],
            stall_count=state["stalls"],
        )
