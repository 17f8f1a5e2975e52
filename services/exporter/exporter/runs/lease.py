"""Keeping a lease: renewed while the work goes on, given up in time when that fails."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from exporter.errors import LeaseLost
from shared.clock import Clock
from shared.errors import TransientError
from shared.lifecycle import wait_for_first
from shared.observe import get_logger

T = TypeVar("T")
log = get_logger(__name__)
_RETRY_SECONDS = 0.5


class Lease:
    """A claim's lease. `over` is set when the run is to be cancelled or the claim is lost, or may be lost.

    `renew` extends it and tells whether the run is to be cancelled, or raises LeaseLost. Time is counted here from
    before each renewal was sent, so this side always gives up before the others take over.
    """

    def __init__(
        self,
        renew: Callable[[timedelta], Awaitable[bool]],
        length: timedelta,
        *,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = renew
        self._length = length
        self._clock = clock
        self._monotonic = monotonic
        self._until = monotonic() + length.total_seconds()
        self._look = asyncio.Event()
        self.over = asyncio.Event()
        self.cancelled = False
        self.lost = False

    def look(self) -> None:
        """Renew at once, to see whether the run is to be cancelled."""
        self._look.set()

    async def keep(self) -> None:
        """Renew every third of the lease until it is over."""
        pause = self._length.total_seconds() / 3
        while not self.over.is_set():
            await wait_for_first(self._look, self.over, seconds=pause)
            self._look.clear()
            await self.renew()

    async def renew(self) -> None:
        """Extend the lease now, or find out that it is over."""
        asked = self._monotonic()
        left = self._until - asked
        try:
            cancelled = await asyncio.wait_for(self._ask(self._length), max(0.1, left))
        except LeaseLost:
            self._end(lost=True)
        except (TransientError, TimeoutError) as error:
            log.warning("lease not renewed", error=type(error).__name__, left=round(left, 1))
            if self._monotonic() >= self._until - 1:
                self._end(lost=True)
        else:
            self._until = asked + self._length.total_seconds()
            if cancelled:
                self._end(lost=False)

    async def insist(self, act: Callable[[], Awaitable[T]]) -> T:
        """Do it, again while PostgreSQL is away, as long as the lease lasts. Raises LeaseLost."""
        while True:
            try:
                return await act()
            except TransientError as error:
                if self.lost:
                    raise LeaseLost("PostgreSQL was away too long") from error
                await self._clock.sleep(_RETRY_SECONDS)

    def _end(self, *, lost: bool) -> None:
        self.lost, self.cancelled = lost, not lost
        self.over.set()
