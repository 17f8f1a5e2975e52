"""The bandwidth limit of one deliverer."""

import time
from collections.abc import Callable

from shared.clock import Clock


class BandwidthLimiter:
    """Spreads bytes evenly over time; `rate` in bytes a second, None for no limit."""

    def __init__(self, rate: int | None, *, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._clock = clock
        self._monotonic = monotonic
        self._free_at = monotonic()

    async def take(self, count: int) -> None:
        """Wait until `count` more bytes may be sent; waiting callers are served in their order."""
        if self._rate is None:
            return
        now = self._monotonic()
        start = max(now, self._free_at)
        self._free_at = start + count / self._rate
        if start > now:
            await self._clock.sleep(start - now)
