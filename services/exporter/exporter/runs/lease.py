"""Leases: renewed while the work goes on, and given up in time when that fails (rules R2 and D7)."""

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
    """The lease of a claim. `ended` is set when the work is to be cancelled, or when the claim is or may be lost.

    `renew` extends it by the given length and returns whether the work is to be cancelled, or raises LeaseLost. Time is
    measured from before each renewal is sent, so that this side always gives up before another takes over.
    """

    def __init__(
        self,
        renew: Callable[[timedelta], Awaitable[bool]],
        length: timedelta,
        *,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._renew = renew
        self._length = length
        self._clock = clock
        self._monotonic = monotonic
        self._expires_at = monotonic() + length.total_seconds()
        self._check_now = asyncio.Event()
        self.ended = asyncio.Event()
        self.is_cancelled = False
        self.is_lost = False

    def check_now(self) -> None:
        """Renew at once, to find out whether the work is to be cancelled."""
        self._check_now.set()

    async def keep_renewing(self) -> None:
        """Renew every third of the lease until it has ended."""
        pause = self._length.total_seconds() / 3
        while not self.ended.is_set():
            await wait_for_first(self._check_now, self.ended, seconds=pause)
            self._check_now.clear()
            await self.renew()

    async def renew(self) -> None:
        """Extend the lease now, or find out that it has ended."""
        sent_at = self._monotonic()
        left = self._expires_at - sent_at
        try:
            is_cancelled = await asyncio.wait_for(self._renew(self._length), max(0.1, left))
        except LeaseLost:
            self._end(is_lost=True)
        except (TransientError, TimeoutError) as error:
            log.warning("lease not renewed", error=type(error).__name__, seconds_left=round(left, 1))
            if self._monotonic() >= self._expires_at - 1:
                self._end(is_lost=True)
        else:
            self._expires_at = sent_at + self._length.total_seconds()
            if is_cancelled:
                self._end(is_lost=False)

    async def retry_while_held(self, act: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `act`, repeating it after transient errors while the lease is held.

        Raises LeaseLost, and every other error of `act`.
        """
        while True:
            try:
                return await act()
            except TransientError as error:
                if self.is_lost:
                    raise LeaseLost("PostgreSQL was unavailable for longer than the lease") from error
                await self._clock.sleep(_RETRY_SECONDS)

    def _end(self, *, is_lost: bool) -> None:
        self.is_lost, self.is_cancelled = is_lost, not is_lost
        self.ended.set()
