"""For how long work under way has not moved."""

import time
from collections.abc import Callable


class Silence:
    """Told how far some work is, it knows since when that has been the same."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._place: object = None
        self._since = monotonic()

    def at(self, place: object) -> None:
        """Note how far the work is."""
        if place != self._place:
            self._place, self._since = place, self._monotonic()

    @property
    def seconds(self) -> float:
        """For how long it has been there."""
        return self._monotonic() - self._since
