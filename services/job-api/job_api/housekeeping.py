"""Deletes rows that have outlived their use, and counts the certificates that will expire (rule C2)."""

import asyncio
from datetime import timedelta
from functools import partial

from job_api.store import ALL_TENANTS, Database, deletions
from job_api.store.database import SQL
from shared.clock import Clock
from shared.errors import TransientError
from shared.http.idempotency import drop_responses
from shared.lifecycle import wait_for_first
from shared.observe import CERTIFICATES_EXPIRING, get_logger
from shared.topics import DELETION_RETENTION

KEY_RETENTION = timedelta(hours=24)
"""How long an Idempotency-Key is remembered."""
ROW_RETENTION = timedelta(days=1)
"""How long ended sessions, ended runs and full token buckets are kept."""
DRAFT_RETENTION = timedelta(days=7)
"""How long a draft is kept after it was last changed."""
_INTERVAL_SECONDS = 600.0
_DELETION_BATCH = 500
log = get_logger(__name__)


class Housekeeping:
    """A loop that any number of processes may run at once."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def run(self, stopping: asyncio.Event) -> None:
        """Clean up every ten minutes until `stopping` is set."""
        while not stopping.is_set():
            try:
                await self.clean_up()
            except TransientError as error:
                log.warning("housekeeping failed, retrying later", error=str(error))
            await wait_for_first(stopping, seconds=_INTERVAL_SECONDS)

    async def clean_up(self) -> None:
        """Delete old rows once, and count the certificates that will expire. Raises PostgresUnavailable."""
        now = self._clock.now()
        async with self._database.transaction(ALL_TENANTS) as database:
            await drop_responses(database, now - KEY_RETENTION)
            await database.execute(SQL["delete_old_runs"], now - ROW_RETENTION)
            await database.execute(SQL["delete_full_buckets"], now - ROW_RETENTION)
            await database.execute(SQL["delete_old_drafts"], now - DRAFT_RETENTION)
            await database.execute(SQL["delete_old_sessions"], now - ROW_RETENTION, now)
            for row in await database.fetch(SQL["certificates_expiring"], now):
                CERTIFICATES_EXPIRING.labels(str(row["days"])).set(row["count"])
        await self.publish_deletions()

    async def publish_deletions(self) -> None:
        """Announce deletions, and replace those announced long ago by tombstones. Raises PostgresUnavailable."""
        steps = (deletions.announce, partial(deletions.write_tombstones, before=self._clock.now() - DELETION_RETENTION))
        for step in steps:
            count = _DELETION_BATCH
            while count == _DELETION_BATCH:
                async with self._database.transaction(ALL_TENANTS) as database:
                    count = await step(database, now=self._clock.now(), limit=_DELETION_BATCH)
