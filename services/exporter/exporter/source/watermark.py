"""How far the source is certain to be complete (T4): nothing may still be committed with an earlier instant.

A row's instant is set within its transaction, so it is not earlier than that transaction's start. Whatever began before
the start of the oldest transaction that is still open has ended, and a snapshot taken after this look sees it.

Of a prepared transaction PostgreSQL tells when it was prepared, not when it began. One that was not prepared yet at an
earlier look was open then, or began later; so with two looks it is enough that none stands in both. One that stands
longer began no earlier than the end of the job's last window, which was found in the same way.
"""

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

import asyncpg

from exporter.source.snapshot import CONNECT_SECONDS, clear_errors
from shared.observe import get_logger

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
log = get_logger(__name__)

APPLICATION = "sluice-exporter"
"""The name under which exporters read; they never write, so their own transactions hold nothing back."""
_MAY_SEE = "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"
# Activity is read before the prepared ones: what is prepared in between is in both, and never in neither.
_LOOK = """
SELECT
    least(
        clock_timestamp(),
        (SELECT min(xact_start) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()
           AND backend_type IN ('client backend', 'logical replication worker', 'logical replication apply worker',
                                'logical replication parallel worker', 'background worker')
           AND NOT (usename = current_user AND application_name = $1))
    ) AS oldest,
    (SELECT array_agg(transaction::text) FROM pg_prepared_xacts WHERE database = current_database()) AS prepared,
    (SELECT min(prepared) FROM pg_prepared_xacts WHERE database = current_database()) AS first_prepared
"""
_LOOKS, _BETWEEN_LOOKS = 20, 0.25


@dataclass(frozen=True, slots=True)
class _Look:
    oldest: datetime
    prepared: AbstractSet[str]
    first_prepared: datetime | None


async def complete_through(dsn: str, *, since: datetime | None, hold_back: timedelta) -> datetime:
    """Return the instant before which nothing more can appear in the source; `since` is where the last window ended.

    Where the reader may not see other sessions' transactions this says so and stays `hold_back` behind the clock.
    Raises SourceUnavailable or AccessRefused.
    """
    with clear_errors():
        connection: Connection = await asyncpg.connect(
            dsn, timeout=CONNECT_SECONDS, server_settings={"application_name": APPLICATION}, statement_cache_size=0
        )
        try:
            if await connection.fetchval(_MAY_SEE):
                return await _certain(connection, since, hold_back)
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        finally:
            await connection.close(timeout=CONNECT_SECONDS)
    log.warning(
        "the source's reader may not see other sessions; grant pg_read_all_stats to be certain",
        held_back_seconds=hold_back.total_seconds(),
    )
    return now - hold_back


async def _certain(connection: Connection, since: datetime | None, hold_back: timedelta) -> datetime:
    first = last = await _look(connection)
    for _ in range(_LOOKS):
        if not first.prepared & last.prepared:
            return first.oldest
        await asyncio.sleep(_BETWEEN_LOOKS)
        last = await _look(connection)
    # Standing prepared transactions: certain is only what was certain the last time.
    log.warning("a prepared transaction stands in the source and holds exports of changes back until it is ended")
    assert first.first_prepared is not None
    return min(first.oldest, since if since is not None else first.first_prepared - hold_back)


async def _look(connection: Connection) -> _Look:
    row = await connection.fetchrow(_LOOK, APPLICATION)
    assert row is not None
    return _Look(row["oldest"], frozenset(row["prepared"] or ()), row["first_prepared"])
