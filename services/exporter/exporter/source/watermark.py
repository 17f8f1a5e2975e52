"""The watermark of the source (rule T4): no transaction can still commit a row with an earlier instant.

A row's instant is set within its transaction, so it is not earlier than the transaction's start. All transactions that
began before the start of the oldest open one have ended, and a snapshot taken after this check sees them.

For a prepared transaction PostgreSQL reports when it was prepared, not when it began. One that was not yet prepared at
an earlier check was either open then, or began later; so with two checks it is enough that no prepared transaction
appears in both. One that stays prepared for longer began no earlier than the end of the job's last window, which was
found in the same way.

Only the server that the rows are written on sees their transactions. A standby, and a subscriber of a publication, see
what has been committed on another server and sent since. So there the other server's watermark is used, with the
position in its write-ahead log, which the snapshot's server must have replayed; or else the window is held back behind
what was replayed, and says so.
"""

import asyncio
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from exporter.errors import SourceAccessRefused, SourceBehind, SourceUnavailable, WatermarkUnsupported
from exporter.source.connection import APPLICATION, SourceConnection, open_source
from exporter.source.servers import SourceServer, inspect_server, wait_for_subscriptions
from shared.observe import get_logger

log = get_logger(__name__)

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
_POSITION = "SELECT pg_current_wal_insert_lsn()::text"
_MAX_CHECKS, _CHECK_SECONDS = 20, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """The instant before which nothing more can appear in the source; `note` says why that is not certain, or is None.

    A server of the source has all earlier changes when it has replayed the write-ahead log up to `position`; None where
    that is not known or not needed.
    """

    at: datetime
    note: str | None = None
    position: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkPolicy:
    """How to find a watermark.

    `primary` is the address of the server on which the rows are written, where the source is another one. Where a
    watermark is not certain, it stays `hold_back` behind the clock, or behind what was replayed. A server without a
    sign of life for `stall` is given up.
    """

    primary: str | None
    hold_back: timedelta
    stall: timedelta


@dataclass(frozen=True, slots=True)
class _OpenTransactions:
    oldest: datetime
    prepared: AbstractSet[str]
    first_prepared: datetime | None


async def find_watermark(dsn: str, policy: WatermarkPolicy, *, since: datetime | None) -> Watermark:
    """Return the source's watermark; `since` is the end of the job's last window.

    Raises WatermarkUnsupported for views on foreign tables or materialized views, SourceAccessRefused where `primary`
    leads to the wrong server, SourceBehind, and SourceUnavailable.
    """
    async with open_source(dsn, stall=policy.stall) as source:
        server = await inspect_server(source)
        if server.unsuitable:
            raise WatermarkUnsupported(
                f"Since the last run is not possible with this source: {', '.join(server.unsuitable)} show changes at "
                "another time than they are committed (foreign tables, materialized views). Use another timeframe, or "
                "map the views onto tables of the source itself."
            )
        if not server.is_replica:
            found = await _find_on_writer(source, server, policy, since=since)
        elif policy.primary is not None:
            found = await _find_on_primary(source, server, policy.primary, policy, since=since)
        else:
            found = _hold_back(server, policy.hold_back)
    if since is not None and found.at < since:
        found = replace(found, at=since)  # everything before it was exported by the last run
    if found.note is not None:
        log.warning("watermark of the source is not certain", reason=found.note)
    return found


async def _find_on_primary(
    source: SourceConnection, server: SourceServer, dsn: str, policy: WatermarkPolicy, *, since: datetime | None
) -> Watermark:
    async with open_source(dsn, stall=policy.stall) as primary:
        writer = await inspect_server(primary)
        if writer.is_replica:
            # After a failover the address may lead here for a while.
            raise SourceUnavailable("SLUICE_EXPORTER_SOURCE_PRIMARY leads to a replica, not to the primary.")
        if server.is_standby and writer.system != server.system:
            raise SourceAccessRefused(
                "SLUICE_EXPORTER_SOURCE_PRIMARY leads to a server that is not the primary of the source."
            )
        found = await _find_on_writer(primary, writer, policy, since=since)
    if server.is_standby or found.position is None:
        return found
    await wait_for_subscriptions(source, server.subscriptions, found.position)
    # The subscriber has a write-ahead log of its own.
    return Watermark(at=found.at, note=found.note)


def _hold_back(server: SourceServer, hold_back: timedelta) -> Watermark:
    if server.replayed_at is None:
        raise SourceBehind("The source receives no changes now: a subscription has stopped. Since the last run waits.")
    kind = "a standby" if server.is_standby else "a subscriber"
    return Watermark(
        at=server.replayed_at - hold_back,
        note=f"The source is {kind}, which does not see the primary's open transactions. The window ends "
        f"{_words(hold_back)} behind what was replayed; changes of a transaction that was open for longer may be "
        "missing. SLUICE_EXPORTER_SOURCE_PRIMARY makes it certain.",
    )


async def _find_on_writer(
    connection: SourceConnection, server: SourceServer, policy: WatermarkPolicy, *, since: datetime | None
) -> Watermark:
    if server.sees_sessions:
        at, note = await _find_certain(connection, since, policy.hold_back)
    else:
        at = server.clock - policy.hold_back
        note = (
            f"The reader may not see other sessions. The window ends {_words(policy.hold_back)} behind the clock; "
            "changes of a transaction that was open for longer may be missing. "
            "GRANT pg_read_all_stats makes it certain."
        )
    # Read last: what had ended before is in the log up to here.
    position: str = await connection.watch(connection.driver.fetchval(_POSITION))
    return Watermark(at=at, note=note, position=position)


async def _find_certain(
    connection: SourceConnection, since: datetime | None, hold_back: timedelta
) -> tuple[datetime, str | None]:
    first = last = await _check_transactions(connection)
    for _ in range(_MAX_CHECKS):
        if not first.prepared & last.prepared:
            return first.oldest, None
        await asyncio.sleep(_CHECK_SECONDS)
        last = await _check_transactions(connection)
    # Transactions stay prepared: nothing is certain beyond the end of the last window.
    log.warning("prepared transaction in the source holds the watermark back; commit it or roll it back")
    assert first.first_prepared is not None
    if since is not None:
        return min(first.oldest, since), None
    return min(first.oldest, first.first_prepared - hold_back), (
        f"A prepared transaction has not ended. The window ends {_words(hold_back)} before it was prepared; its "
        "changes may be missing if it was open for longer. Commit it or roll it back."
    )


async def _check_transactions(connection: SourceConnection) -> _OpenTransactions:
    row = await connection.watch(connection.driver.fetchrow(_CHECK, APPLICATION))
    assert row is not None
    return _OpenTransactions(row["oldest"], frozenset(row["prepared"] or ()), row["first_prepared"])


def _words(duration: timedelta) -> str:
    minutes, seconds = divmod(round(duration.total_seconds()), 60)
    return f"{minutes} min" if minutes and not seconds else f"{round(duration.total_seconds())} s"
