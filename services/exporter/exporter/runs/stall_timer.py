"""How long work in progress has stood still."""

import time
from collections.abc import Callable


class StallTimer:
    """Measures the time since some work's position last changed."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._position: object = None
        self._since = monotonic()

    def observe(self, position: object) -> None:
        """Note the work's current position, which is any value that can be compared."""
        if position != self._position:
            self._position, self._since = position, self._monotonic()

    @property
    def seconds(self) -> float:
        """The seconds since the position last changed."""
        return self._monotonic() - self._since
