"""What goes on beside deciding slots, seldom and in small pieces: retention, the number of jobs."""

import asyncio
import time
from datetime import timedelta

from scheduler.store import Ledger
from shared.errors import TransientError
from shared.lifecycle import first_of
from shared.observe import SCHEDULED_JOBS, logger

log = logger(__name__)
_DROP_AT_ONCE = 5000
_EVERY = 15.0
_SHARE = 1000
"""A look at all jobs rests this many times as long as it took, so that it stays a thousandth of a core."""


class Upkeep:
    """Forgets old fates and counts the jobs."""

    def __init__(self, ledger: Ledger, *, kept: timedelta) -> None:
        self._ledger = ledger
        self._kept = kept

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set."""
        while not stopping.is_set():
            began = time.monotonic()
            try:
                SCHEDULED_JOBS.set(await self._ledger.count_scheduled())
                counted = time.monotonic() - began
                dropped = await self._ledger.drop_old_slots(self._kept, _DROP_AT_ONCE)
            except TransientError as error:
                log.debug("upkeep put off", error=str(error))
                counted, dropped = 0.0, 0
            pause = 1.0 if dropped == _DROP_AT_ONCE else max(_EVERY, _SHARE * counted)
            await first_of(stopping, seconds=pause)
