"""Periodic maintenance of the ledger, in small pieces: retention, and the number of scheduled jobs."""

import asyncio
import time
from datetime import timedelta

from scheduler.store import Ledger
from shared.errors import TransientError
from shared.lifecycle import wait_for_first
from shared.observe import SCHEDULED_JOBS, get_logger

log = get_logger(__name__)
_DELETE_LIMIT = 5000
_MIN_PAUSE, _MAX_PAUSE = 10.0, 600.0
_PAUSE_FACTOR = 500
"""A scan of all jobs or slots is followed by a pause this many times as long, within the bounds above (seconds)."""
_VERSION_RETENTION = timedelta(days=1, hours=1)
"""A little longer than the day that an audit may look back."""


class Maintenance:
    """Deletes old slots and superseded versions, and counts the scheduled jobs."""

    def __init__(self, ledger: Ledger, *, retention: timedelta) -> None:
        self._ledger = ledger
        self._retention = retention

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until `stopping` is set; transient errors are retried."""
        count_at = 0.0
        while not stopping.is_set():
            pause = _MIN_PAUSE
            try:
                began = time.monotonic()
                deleted = await self._ledger.delete_old_slots(self._retention, limit=_DELETE_LIMIT)
                await self._ledger.delete_old_versions(_VERSION_RETENTION)
                pause = 1.0 if deleted == _DELETE_LIMIT else _pause_after(time.monotonic() - began)
                began = time.monotonic()
                if began >= count_at:
                    SCHEDULED_JOBS.set(await self._ledger.count_scheduled())
                    count_at = began + _pause_after(time.monotonic() - began)
            except TransientError as error:
                log.debug("retrying maintenance", error=str(error))
            await wait_for_first(stopping, seconds=pause)


def _pause_after(seconds: float) -> float:
    return min(_MAX_PAUSE, max(_MIN_PAUSE, _PAUSE_FACTOR * seconds))
