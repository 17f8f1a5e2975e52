"""Keeping a lease: renewed while the run is worked on, given up in time when that fails."""

import asyncio
import time
from datetime import timedelta

from exporter.errors import LeaseLost
from exporter.store import Claim, RunStore
from shared.errors import TransientError
from shared.lifecycle import first_of
from shared.observe import logger

log = logger(__name__)


class Lease:
    """A claim's lease. `over` is set when the run is to be cancelled or the claim is lost, or may be lost.

    Time is counted here from before each renewal was sent, so this side always gives up before the others take over.
    """

    def __init__(self, store: RunStore, claim: Claim, length: timedelta) -> None:
        self._store = store
        self._claim = claim
        self._length = length
        self._until = time.monotonic() + length.total_seconds()
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
            await first_of(self._look, self.over, seconds=pause)
            self._look.clear()
            await self._renew()

    async def _renew(self) -> None:
        asked = time.monotonic()
        left = self._until - asked
        try:
            cancelled = await asyncio.wait_for(self._store.renew(self._claim, self._length), max(0.1, left))
        except LeaseLost:
            self._end(lost=True)
        except (TransientError, TimeoutError) as error:
            log.warning(
                "lease not renewed", run_id=str(self._claim.run_id), error=type(error).__name__, left=round(left, 1)
            )
            if time.monotonic() >= self._until - 1:
                self._end(lost=True)
        else:
            self._until = asked + self._length.total_seconds()
            if cancelled:
                self._end(lost=False)

    def _end(self, *, lost: bool) -> None:
        self.lost, self.cancelled = lost, not lost
        self.over.set()
