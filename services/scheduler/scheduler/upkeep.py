"""What goes on beside deciding slots, seldom and in small pieces: retention, the number of jobs."""

import asyncio
import time
from datetime import timedelta

from scheduler.store import Ledger
from shared.errors import TransientError
from shared.lifecycle import wait_for_first
from shared.observe import SCHEDULED_JOBS, get_logger

log = get_logger(__name__)
_DROP_AT_ONCE = 5000
_EVERY = 10.0
_VERSIONS_KEPT = timedelta(days=1, hours=1)
"""As far back as an auditor's round may begin, and some."""
_SHARE, _LONGEST = 500, 600.0
"""After a look at all jobs, or all slots, none is taken for this many times as long as it took; at most so long (s)."""


class Upkeep:
    """Forgets old fates and old versions, and counts the jobs."""

    def __init__(self, ledger: Ledger, *, kept: timedelta) -> None:
        self._ledger = ledger
        self._kept = kept

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set."""
        count_at = 0.0
        while not stopping.is_set():
            rest = _EVERY
            try:
                began = time.monotonic()
                dropped = await self._ledger.drop_old_slots(self._kept, _DROP_AT_ONCE)
                await self._ledger.drop_old_versions(_VERSIONS_KEPT)
                rest = 1.0 if dropped == _DROP_AT_ONCE else _rest(time.monotonic() - began)
                began = time.monotonic()
                if began >= count_at:
                    SCHEDULED_JOBS.set(await self._ledger.count_scheduled())
                    count_at = began + _rest(time.monotonic() - began)
            except TransientError as error:
                log.debug("upkeep put off", error=str(error))
            await wait_for_first(stopping, seconds=rest)


def _rest(took: float) -> float:
    return min(_LONGEST, max(_EVERY, _SHARE * took))
