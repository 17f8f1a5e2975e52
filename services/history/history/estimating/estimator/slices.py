"""Runs that several exporters share: the slowest slice decides when all is done."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_MOST = 64


@dataclass(slots=True)
class Slices:
    """For each slice two earlier places (instant, units), so that its speed is that of its later half."""

    marks: list[list[float]] = field(default_factory=list)
    state: list[tuple[float, float]] = field(default_factory=list)
    at: float = 0.0

    def add(self, ts: float, slices: Sequence[tuple[float, float]] | None) -> None:
        """Take how far each slice has come."""
        if not slices or len(slices) > _MOST:
            self.state = []
            return
        self.at, self.state = ts, list(slices)
        self.marks = self.marks[: len(slices)]
        for place, (done, _) in enumerate(self.state):
            if place == len(self.marks):
                self.marks.append([ts, done, ts, done])
            first, _, second, _ = self.marks[place]
            if self.marks[place][3] == 0:
                self.marks[place] = [ts, done, ts, done]
            elif ts - second > second - first + 1e-9 and ts - second > 0.3 * (ts - first):
                self.marks[place] = [second, self.marks[place][3], ts, done]

    def left(self) -> float | None:
        """Return the seconds that the slowest slice at work still needs, or None when that cannot be said."""
        longest: float | None = None
        for (done, total), (first, had, _, _) in zip(self.state, self.marks, strict=True):
            if 0 < done < total and self.at > first and done > had:
                needed = (total - done) * (self.at - first) / (done - had)
                longest = max(longest or 0.0, needed)
        return longest

    def dump(self) -> dict[str, Any]:
        """Return all of it, to be stored."""
        return {"marks": self.marks, "state": self.state, "at": self.at}

    @classmethod
    def load(cls, state: dict[str, Any]) -> "Slices":
        """Return what was dumped."""
        return cls(state["marks"], [(done, total) for done, total in state["state"]], state["at"])
