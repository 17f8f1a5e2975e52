"""How far the source is certain to be complete (T4): nothing may still be committed with an earlier instant.

A row's instant is set within its transaction, so it is not earlier than that transaction's start. Whatever began before
the start of the oldest transaction that is still open has ended, and a snapshot taken after this look sees it.
"""

from datetime import datetime, timedelta
from typing import TypeAlias

import asyncpg

from exporter.source import CONNECT_SECONDS, clear_errors
from shared.observe import logger

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
log = logger(__name__)

APPLICATION = "sluice-exporter"
"""The name under which exporters read; they never write, so their own transactions hold nothing back."""
_MAY_SEE = "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"
_OLDEST = """
SELECT least(
    clock_timestamp(),
    (SELECT min(xact_start) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid()
       AND backend_type IN ('client backend', 'logical replication worker', 'logical replication apply worker',
                            'logical replication parallel worker', 'background worker')
       AND NOT (usename = current_user AND application_name = $1)),
    (SELECT min(prepared) FROM pg_prepared_xacts WHERE database = current_database())
)
"""


async def complete_through(dsn: str, *, hold_back: timedelta) -> datetime:
    """Return the instant before which nothing more can appear in the source.

    Where the reader may not see other sessions' transactions this says so and stays `hold_back` behind the clock.
    Raises SourceUnavailable or AccessRefused.
    """
    with clear_errors():
        connection: Connection = await asyncpg.connect(
            dsn, timeout=CONNECT_SECONDS, server_settings={"application_name": APPLICATION}, statement_cache_size=0
        )
        try:
            if await connection.fetchval(_MAY_SEE):
                oldest: datetime = await connection.fetchval(_OLDEST, APPLICATION)
                return oldest
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        finally:
            await connection.close(timeout=CONNECT_SECONDS)
    log.warning(
        "the source's reader may not see other sessions; grant pg_read_all_stats to be certain",
        held_back_seconds=hold_back.total_seconds(),
    )
    return now - hold_back
