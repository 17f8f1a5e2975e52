"""A new run log, rebuilt next to the one in use, which it then replaces."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from history.store import SQL
from history.store.log import RunLog
from shared.postgres import Connection, Pool, connection

# The temporary tables need no other indexes.
_KEYS = {
    "run": "run_id",
    "run_event": "run_id, token, seq, kind",
    "part": "run_id, kind, part",
    "artifact": "artifact_id",
    "delivery": "delivery_id",
    "delivery_event": "delivery_id, token, seq",
    "delivered_file": "delivery_id, name",
}
_STEPS = (
    "drop_entries",
    "add_entries",
    "drop_parts",
    "add_parts",
    "keep_downloads",
    "drop_artifacts",
    "add_artifacts",
    "drop_deliveries",
    "add_deliveries",
    "drop_delivered_files",
    "add_delivered_files",
    "drop_delivery_entries",
    "add_delivery_entries",
    "keep_fates",
    "drop_runs",
    "add_runs",
    "notify",
)
_STATEMENT_TIMEOUT = 3600.0  # seconds: one statement moves a table of any size


class RebuiltLog(RunLog):
    """A log in temporary tables of the same names, which hide the permanent ones from statements on one connection."""

    def __init__(self, pool: Pool, database: Connection) -> None:
        super().__init__(pool)
        self._database = database

    @classmethod
    @asynccontextmanager
    async def open_empty(cls, pool: Pool) -> AsyncIterator[Self]:
        """Open an empty log, which is dropped afterwards. Raises PostgresUnavailable."""
        async with connection(pool) as database:
            await database.execute("SET temp_buffers = '64MB'")
            for table, key in _KEYS.items():
                await database.execute(f"CREATE TEMPORARY TABLE {table} (LIKE {table} INCLUDING DEFAULTS)")
                await database.execute(f"ALTER TABLE pg_temp.{table} ADD PRIMARY KEY ({key})")
            try:
                yield cls(pool, database)
            finally:
                for table in _KEYS:
                    await database.execute(f"DROP TABLE pg_temp.{table}")

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        """Open a transaction on the temporary tables."""
        async with self._database.transaction():
            yield self._database

    @asynccontextmanager
    async def replace_log(self) -> AsyncIterator[None]:
        """Lock the permanent log; when the block ends, replace it by the rebuilt one in the same transaction.

        Runs of which the topics have no events any more stay as they were, and so do the download counters.
        """
        async with self._database.transaction():
            await self._database.execute(SQL["lock_log"])
            await self._database.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield
            for table in _KEYS:
                await self._database.execute(f"ANALYZE pg_temp.{table}")
            for step in _STEPS:
                await self._database.execute(SQL[step], timeout=_STATEMENT_TIMEOUT)

    async def count_runs(self) -> int:
        """Return the number of rebuilt runs."""
        return int(await self._database.fetchval("SELECT count(*) FROM pg_temp.run"))
