"""Runs that several exporters share: the run ends when its slowest slice does."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_MAX_SLICES = 64


@dataclass(slots=True)
class SliceProgress:
    """The latest (units done, units in total) of each slice, and two earlier positions to measure its pace from.

    A mark is [ts, units done, ts, units done]: the older and the newer position. The pace of a slice is measured since
    the older one, so over about the later half of its time.
    """

    marks: list[list[float]] = field(default_factory=list)
    latest: list[tuple[float, float]] = field(default_factory=list)
    sampled_at: float = 0.0

    def add(self, ts: float, slices: Sequence[tuple[float, float]] | None) -> None:
        """Record how far each slice has come at `ts`; runs of more than 64 slices are not followed by slice."""
        if not slices or len(slices) > _MAX_SLICES:
            self.latest = []
            return
        self.sampled_at, self.latest = ts, list(slices)
        self.marks = self.marks[: len(slices)]
        for index, (done, _) in enumerate(self.latest):
            if index == len(self.marks):
                self.marks.append([ts, done, ts, done])
            older, _, newer, _ = self.marks[index]
            if self.marks[index][3] == 0:
                self.marks[index] = [ts, done, ts, done]
            elif ts - newer > newer - older + 1e-9 and ts - newer > 0.3 * (ts - older):
                self.marks[index] = [newer, self.marks[index][3], ts, done]

    def slowest_remaining(self) -> float | None:
        """Return the seconds that the slowest active slice still needs, or None where no pace is known."""
        slowest: float | None = None
        for (done, total), (since, done_then, _, _) in zip(self.latest, self.marks, strict=True):
            if 0 < done < total and self.sampled_at > since and done > done_then:
                needed = (total - done) * (self.sampled_at - since) / (done - done_then)
                slowest = max(slowest or 0.0, needed)
        return slowest

    def dump(self) -> dict[str, Any]:
        """Return the state for storage, as JSON values."""
        return {"marks": self.marks, "state": self.latest, "at": self.sampled_at}

    @classmethod
    def load(cls, state: dict[str, Any]) -> "SliceProgress":
        """Return the object whose `dump` this is."""
        return cls(state["marks"], [(done, total) for done, total in state["state"]], state["at"])
