"""What is dropped with age: answers to Idempotency-Keys, sessions that ended, runs that nothing shows any more.

And what comes of age: certificates that will expire are counted (C2).
"""

import asyncio
from datetime import timedelta

from job_api.store import EVERYBODY, Database
from job_api.store.database import SQL
from shared.clock import Clock
from shared.errors import TransientError
from shared.lifecycle import wait_for_first
from shared.observe import CERTIFICATES_EXPIRING, get_logger

KEYS_KEPT = timedelta(hours=24)
ENDED_KEPT = timedelta(days=1)
_EVERY_SECONDS = 600.0
log = get_logger(__name__)


class Housekeeping:
    """A loop that any number of processes may run."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Tidy up now and then until `stopping` is set."""
        while not stopping.is_set():
            try:
                await self.turn()
            except TransientError as error:
                log.warning("not tidied up, trying again later", error=str(error))
            await wait_for_first(stopping, seconds=_EVERY_SECONDS)

    async def turn(self) -> None:
        """Tidy up once, and count what will expire."""
        now = self._clock.now()
        async with self._database.changing(EVERYBODY) as database:
            await database.execute(SQL["forget_keys"], now - KEYS_KEPT)
            await database.execute(SQL["forget_runs"], now - ENDED_KEPT)
            await database.execute(SQL["forget_buckets"], now - ENDED_KEPT)
            await database.execute(SQL["forget_identities"], now - ENDED_KEPT)
            for row in await database.fetch(SQL["certificates_expiring"], now):
                CERTIFICATES_EXPIRING.labels(str(row["days"])).set(row["count"])
