"""The watermark of the source (rule T4): no transaction can still commit a row with an earlier instant.

A row's instant is set within its transaction, so it is not earlier than the transaction's start. All transactions that
began before the start of the oldest open one have ended, and a snapshot taken after this check sees them.

For a prepared transaction PostgreSQL reports when it was prepared, not when it began. One that was not yet prepared at
an earlier check was either open then, or began later; so with two checks it is enough that no prepared transaction
appears in both. One that stays prepared for longer began no earlier than the end of the job's last window, which was
found in the same way.
"""

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.source.connection import APPLICATION, SourceConnection, close, connect
from shared.observe import get_logger

log = get_logger(__name__)

_SEES_OTHER_SESSIONS = "SELECT pg_has_role('pg_read_all_stats', 'USAGE')"
# Exporters never write, so their own transactions do not hold the watermark back. Activity is read before the prepared
# transactions: one that is prepared in between appears in both, never in neither.
_CHECK = """
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
_MAX_CHECKS, _CHECK_SECONDS = 20, 0.25


@dataclass(frozen=True, slots=True)
class _OpenTransactions:
    oldest: datetime
    prepared: AbstractSet[str]
    first_prepared: datetime | None


async def find_watermark(dsn: str, *, since: datetime | None, hold_back: timedelta, stall: timedelta) -> datetime:
    """Return the instant before which nothing more can appear in the source; `since` is the end of the last window.

    Where the reader may not see other sessions' transactions, logs a warning and returns the source's clock less
    `hold_back`. A source without a sign of life for `stall` is given up. Raises SourceUnavailable or
    SourceAccessRefused.
    """
    connection = await connect(dsn, stall=stall)
    try:
        if await connection.watch(connection.driver.fetchval(_SEES_OTHER_SESSIONS)):
            return await _find_certain(connection, since, hold_back)
        now: datetime = await connection.watch(connection.driver.fetchval("SELECT clock_timestamp()"))
    finally:
        await close(connection)
    log.warning(
        "source reader cannot see other sessions, watermark held back; grant pg_read_all_stats",
        held_back_seconds=hold_back.total_seconds(),
    )
    return now - hold_back


async def _find_certain(connection: SourceConnection, since: datetime | None, hold_back: timedelta) -> datetime:
    first = last = await _check_transactions(connection)
    for _ in range(_MAX_CHECKS):
        if not first.prepared & last.prepared:
            return first.oldest
        await asyncio.sleep(_CHECK_SECONDS)
        last = await _check_transactions(connection)
    # Transactions stay prepared: nothing is certain beyond the end of the last window.
    log.warning("prepared transaction in the source holds the watermark back; commit it or roll it back")
    assert first.first_prepared is not None
    return min(first.oldest, since if since is not None else first.first_prepared - hold_back)


async def _check_transactions(connection: SourceConnection) -> _OpenTransactions:
    row = await connection.watch(connection.driver.fetchrow(_CHECK, APPLICATION))
    assert row is not None
    return _OpenTransactions(row["oldest"], frozenset(row["prepared"] or ()), row["first_prepared"])
