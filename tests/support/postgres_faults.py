"""Faults of a PostgreSQL server, each lasting as long as its block: read-only, a full disk, a lock, a wrong clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg

_END_SESSIONS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_FULL = """
CREATE FUNCTION {schema}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full';
END $$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {schema}.refuse();
"""


@asynccontextmanager
async def connect_as_administrator(admin_dsn: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Connect as an administrator, who is not bound by a read-only default: or that fault could not be healed."""
    connection = await asyncpg.connect(admin_dsn, server_settings={"default_transaction_read_only": "off"})
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def make_read_only(admin_dsn: str) -> AsyncIterator[None]:
    """Let connections work, but no write, as after a failover to a standby; sessions end at both changes."""
    await _set_read_only(admin_dsn, "on")
    try:
        yield
    finally:
        await _set_read_only(admin_dsn, "off")


async def _set_read_only(admin_dsn: str, value: str) -> None:
    async with connect_as_administrator(admin_dsn) as admin:
        database = await admin.fetchval("SELECT quote_ident(current_database())")
        await admin.execute(f"ALTER DATABASE {database} SET default_transaction_read_only = {value}")
        # The setting holds for new sessions.
        await admin.fetch(_END_SESSIONS)


@asynccontextmanager
async def fill_disk(admin_dsn: str, table: str) -> AsyncIterator[None]:
    """Let PostgreSQL find no space for what is written to one table (`schema.table`)."""
    schema = table.partition(".")[0]
    async with connect_as_administrator(admin_dsn) as admin:
        await admin.execute(_FULL.format(table=table, schema=schema))
    try:
        yield
    finally:
        async with connect_as_administrator(admin_dsn) as admin:
            await admin.execute(f"DROP FUNCTION {schema}.refuse() CASCADE")


@asynccontextmanager
async def step_clock(admin_dsn: str, by: timedelta) -> AsyncIterator[None]:
    """Step the clock that the scheduler's ledger reads, and back at the end: it goes both forward and backward."""
    await _set_clock(admin_dsn, by)
    try:
        yield
    finally:
        await _set_clock(admin_dsn, timedelta(0))


async def _set_clock(admin_dsn: str, ahead: timedelta) -> None:
    async with connect_as_administrator(admin_dsn) as admin:
        await admin.execute(
            "CREATE OR REPLACE FUNCTION scheduler.ledger_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS"
            f" 'SELECT clock_timestamp() + interval ''{ahead.total_seconds()} seconds'''"
        )


@asynccontextmanager
async def hold_lock(admin_dsn: str, table: str) -> AsyncIterator[bool]:
    """Lock a table as a careless migration does; yields False if others' transactions do not let it within 5 s."""
    async with connect_as_administrator(admin_dsn) as admin, admin.transaction():
        await admin.execute("SET LOCAL lock_timeout = '5s'")
        try:
            await admin.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        except asyncpg.LockNotAvailableError:
            yield False
        else:
            yield True
