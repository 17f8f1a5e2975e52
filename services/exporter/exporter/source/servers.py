"""What kind of server the source is (written on, a standby, a subscriber), and how far it has replayed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from exporter.errors import SourceBehind
from exporter.source.connection import SourceConnection

# The relations below the three views: other views, tables, and the partitions of these. A view without a function that
# reads elsewhere shows nothing else.
_INSPECT = """
WITH RECURSIVE below (oid) AS (
    SELECT oid FROM pg_class
    WHERE relnamespace = to_regnamespace('contact_history') AND relname IN ('interaction', 'contact', 'attachment')
    UNION
    SELECT next.oid FROM below CROSS JOIN LATERAL (
        SELECT refobjid AS oid
        FROM pg_rewrite
        JOIN pg_depend ON classid = 'pg_rewrite'::regclass AND objid = pg_rewrite.oid
        WHERE ev_class = below.oid AND refclassid = 'pg_class'::regclass
        UNION ALL
        SELECT inhrelid FROM pg_inherits WHERE inhparent = below.oid
    ) AS next
)
SELECT
    clock_timestamp() AS clock,
    pg_is_in_recovery() AS is_standby,
    pg_has_role('pg_read_all_stats', 'USAGE') AS sees_sessions,
    (SELECT system_identifier::text FROM pg_control_system()) AS system,
    (SELECT array_agg(DISTINCT oid::regclass::text) FROM below JOIN pg_class USING (oid) WHERE relkind IN ('f', 'm'))
        AS unsuitable,
    (SELECT array_agg(DISTINCT subname::text)
     FROM pg_subscription_rel JOIN pg_subscription ON pg_subscription.oid = srsubid
     WHERE srrelid IN (SELECT oid FROM below)) AS subscriptions,
    CASE WHEN pg_is_in_recovery()
        -- What was committed before the last replayed commit, or before the last replayed checkpoint, is there.
        THEN greatest(pg_last_xact_replay_timestamp(), (SELECT checkpoint_time FROM pg_control_checkpoint()))
    END AS replayed_at
"""
# The worker of a subscription applies what it receives in order, and then reports its position; one line for each.
_SUBSCRIPTIONS = """
SELECT min(latest_end_time) AS replayed_at, min(latest_end_lsn) >= $2::text::pg_lsn AS is_there
FROM pg_stat_subscription
WHERE subname = ANY ($1) AND relid IS NULL AND latest_end_lsn IS NOT NULL
HAVING count(DISTINCT subname) = cardinality($1)
"""
_HAS_REPLAYED = "SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
_REPLAY_LIMIT, _PAUSE = 60.0, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceServer:
    """What a server of the source is.

    `system` identifies its cluster, which primary and standbys share. `unsuitable` are foreign tables and materialized
    views below the source's views, `subscriptions` those that write the tables. What was committed before `replayed_at`
    on the primary or publisher is here; None where that is not known, and on a server that rows are written on.
    """

    clock: datetime
    is_standby: bool
    sees_sessions: bool
    system: str
    unsuitable: Sequence[str]
    subscriptions: Sequence[str]
    replayed_at: datetime | None

    @property
    def is_replica(self) -> bool:
        """Whether rows are written on another server."""
        return self.is_standby or bool(self.subscriptions)


async def inspect_server(connection: SourceConnection) -> SourceServer:
    """Return what kind of server a connection leads to. Raises SourceUnavailable or SourceAccessRefused."""
    row = await connection.watch(connection.driver.fetchrow(_INSPECT))
    assert row is not None
    subscriptions = row["subscriptions"] or ()
    replayed_at = row["replayed_at"]
    if subscriptions and not row["is_standby"]:
        found = await connection.watch(connection.driver.fetchrow(_SUBSCRIPTIONS, subscriptions, "0/0"))
        replayed_at = found["replayed_at"] if found is not None else None
    return SourceServer(
        clock=row["clock"],
        is_standby=row["is_standby"],
        sees_sessions=row["sees_sessions"],
        system=row["system"],
        unsuitable=row["unsuitable"] or (),
        subscriptions=subscriptions,
        replayed_at=replayed_at,
    )


async def wait_for_replay(connection: SourceConnection, position: str) -> None:
    """Wait until a standby has replayed the write-ahead log up to a position; a primary has. Raises SourceBehind."""

    async def has_replayed() -> bool:
        return bool(await connection.watch(connection.driver.fetchval(_HAS_REPLAYED, position)))

    await _wait_until(has_replayed, "The standby has not replayed the primary's changes")


async def wait_for_subscriptions(connection: SourceConnection, names: Sequence[str], position: str) -> None:
    """Wait until subscriptions have applied the publisher's log up to a position. Raises SourceBehind."""

    async def have_applied() -> bool:
        row = await connection.watch(connection.driver.fetchrow(_SUBSCRIPTIONS, list(names), position))
        return row is not None and bool(row["is_there"])

    await _wait_until(have_applied, f"The subscription {', '.join(names)} has not applied the publisher's changes")


async def _wait_until(check: Callable[[], Awaitable[bool]], words: str) -> None:
    until = time.monotonic() + _REPLAY_LIMIT
    while not await check():
        if time.monotonic() > until:
            raise SourceBehind(f"{words} within {_REPLAY_LIMIT:g} s: replication is slow, paused or broken.")
        await asyncio.sleep(_PAUSE)
