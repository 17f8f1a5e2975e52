"""PostgreSQL: connections and migrations.

What the driver's errors mean is in `shared.postgres_errors`, notifications are in `shared.postgres_listener`, named SQL
statements in `shared.queries`.

A server that vanishes sends nothing, not even the end of a connection. So every connection has limits: TCP reports a
peer that acknowledges nothing for half a minute, connecting and each command have deadlines, and one that cannot be
reset in time is dropped.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from pogo_core.error import BadMigrationError
from pogo_core.util import migrate as pogo
from pogo_core.util import sql as pogo_sql

from shared.errors import SluiceError, TransientError
from shared.limited_connection import SERVER_LIMITS, LimitedConnection
from shared.postgres_errors import find_row

Record: TypeAlias = asyncpg.Record
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

CONNECT_SECONDS = 10.0
COMMAND_SECONDS = 60.0
_ACQUIRE_SECONDS, _RELEASE_SECONDS, _CLOSE_SECONDS = 30.0, 5.0, 5.0
_MIGRATION_LOCK = 0x51_01_CE
_IS_ABOVE_THE_RULES = """
SELECT rolsuper OR rolbypassrls OR EXISTS (
    SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = $1 AND pg_has_role(relowner, 'MEMBER')
)
FROM pg_roles WHERE rolname = current_user
"""


class PostgresUnavailable(TransientError):
    """PostgreSQL is unavailable, or aborted this attempt."""


class PostgresMisconfigured(SluiceError):
    """PostgreSQL rejects the login, or its database is not prepared; the message says what to do."""


@contextmanager
def wrap_transient_errors() -> Iterator[None]:
    """Run the block. Raises PostgresUnavailable for what `shared.postgres_errors` calls transient."""
    try:
        yield
    except PostgresUnavailable:
        raise
    except Exception as error:
        row = find_row(error)
        if row is None or row.verdict != "transient":
            raise
        raise PostgresUnavailable(f"PostgreSQL: {row.meaning} ({type(error).__name__}: {error})") from error


@contextmanager
def wrap_connection_errors(dsn: str) -> Iterator[None]:
    """Run a block that opens a connection. Raises PostgresUnavailable or PostgresMisconfigured for its errors."""
    try:
        with wrap_transient_errors(), _wrap_rejections():
            yield
    except PostgresUnavailable as error:
        raise PostgresUnavailable(f"{error} (connecting to {_address(dsn)})") from error


@contextmanager
def _wrap_rejections() -> Iterator[None]:
    try:
        yield
    except (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.InsufficientPrivilegeError,
    ) as error:
        raise PostgresMisconfigured(
            f"PostgreSQL rejected the login: {error}. Check user, password and database in the DSN; "
            "`python -m shared.provision` creates roles and sets passwords."
        ) from error
    except (asyncpg.ClientConfigurationError, ValueError):
        # The driver's message repeats parts of the DSN, and so perhaps the password.
        raise PostgresMisconfigured(
            "PostgreSQL's DSN is not understood; its form is postgresql://user:password@host:port/database."
        ) from None


def _address(dsn: str) -> str:
    """Return a DSN's host and port, without its login."""
    parts = urlsplit(dsn)
    host = parts.hostname or parse_qs(parts.query).get("host", ["this machine"])[0]
    return f"{host}:{parts.port or 5432}"


@asynccontextmanager
async def open_pool(dsn: str, *, size: int, name: str, idle_limit: timedelta | None = None) -> AsyncIterator[Pool]:
    """Open a pool of at most `size` connections, which PostgreSQL lists as `name`.

    A process that stalls or vanishes within a transaction keeps its locks; after `idle_limit` PostgreSQL ends the
    transaction. Raises PostgresUnavailable or PostgresMisconfigured.
    """
    settings = {"application_name": name, "timezone": "UTC", **SERVER_LIMITS}
    if idle_limit is not None:
        settings["idle_in_transaction_session_timeout"] = f"{idle_limit.total_seconds() * 1000:.0f}ms"
    with wrap_connection_errors(dsn):
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            init=_prepare,
            server_settings=settings,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            connection_class=LimitedConnection,
        )
    try:
        yield pool
    finally:
        try:
            # Closing waits for connections in use; one that hangs must not keep the process from ending.
            with suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), _CLOSE_SECONDS)
        finally:
            pool.terminate()


async def _prepare(connection: Connection) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


@asynccontextmanager
async def connect(
    dsn: str, *, name: str, command_seconds: float | None = COMMAND_SECONDS
) -> AsyncIterator["asyncpg.Connection[Record]"]:
    """Open a connection outside any pool, which PostgreSQL lists as `name`; an exception ends it at once.

    `command_seconds` limits each command; None is for those that may take hours. Raises PostgresUnavailable, also in
    place of the block's transient errors, or PostgresMisconfigured.
    """
    with wrap_connection_errors(dsn):
        database = await asyncpg.connect(
            dsn,
            server_settings={"application_name": name, "timezone": "UTC"},
            timeout=CONNECT_SECONDS,
            command_timeout=command_seconds,
            connection_class=LimitedConnection,
        )
    with wrap_transient_errors():
        try:
            yield database
            await database.close(timeout=_CLOSE_SECONDS)
        finally:
            database.terminate()


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Acquire a connection and begin a transaction. Transient errors are raised as PostgresUnavailable."""
    async with connection(pool) as acquired, acquired.transaction():
        try:
            yield acquired
        except TimeoutError:
            # Nothing can be expected of a server that does not answer, not even a rollback.
            acquired.terminate()
            raise


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """Acquire a connection without a transaction. Transient errors are raised as PostgresUnavailable."""
    with wrap_transient_errors():
        acquired = await pool.acquire(timeout=_ACQUIRE_SECONDS)
        try:
            yield acquired
        except Exception as error:
            if (row := find_row(error)) is not None and row.renew:
                # Each connection is replaced when it is next acquired, with its prepared statements.
                await pool.expire_connections()
            raise
        finally:
            await _release(pool, acquired)


async def _release(pool: Pool, acquired: PoolConnectionProxy) -> None:
    # The driver terminates a connection that cannot be reset. What was done with it is done, so that is no failure.
    with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        await pool.release(acquired, timeout=_RELEASE_SECONDS)


async def migrate(dsn: str, package: str) -> None:
    """Bring a service's schema up to date from its `sql/migrations`, as its owner; safe to run concurrently.

    Raises PostgresUnavailable or PostgresMisconfigured.
    """
    async with connect(dsn, name=f"{package} migrate", command_seconds=None) as database:
        try:
            # A session lock: a second run waits for the first and then finds nothing to do.
            await database.execute("SELECT pg_advisory_lock($1, hashtext($2))", _MIGRATION_LOCK, package)
            path = "SELECT set_config('search_path', concat_ws(', ', $1::text, current_setting('search_path')), false)"
            await database.execute(path, package)
            with as_file(files(package).joinpath("sql", "migrations")) as folder:
                await _apply_migrations(database, folder, package)
        except asyncpg.RaiseError as error:
            # A migration's own check of the data; its message says what to correct.
            raise PostgresMisconfigured(f"the migration of {package} stopped, and changed nothing: {error}") from error
        except asyncpg.InsufficientPrivilegeError as error:
            raise PostgresMisconfigured(
                f"PostgreSQL rejected a migration: {error}. Prepare the database first: python -m shared.provision. "
                "SLUICE_MIGRATE_POSTGRES must log in as sluice_owner"
            ) from error


async def _apply_migrations(database: "asyncpg.Connection[Record]", folder: Path, package: str) -> None:
    try:
        await pogo.apply(database, folder, schema_name=package)
    except BadMigrationError as error:
        # It names the migration only; what PostgreSQL says is its cause.
        raise error.__cause__ or error from None


async def require_schema(dsn: str, package: str) -> None:
    """Check that a service's schema has every migration of this release; a newer schema is accepted.

    Raises PostgresMisconfigured where a migration is missing, or where the role could disable row-level security, and
    PostgresUnavailable.
    """
    async with connect(dsn, name=f"{package} start") as database:
        if await database.fetchval(_IS_ABOVE_THE_RULES, package):
            raise PostgresMisconfigured(
                f"the role of this DSN owns tables of {package}, or is not subject to row-level security: run "
                f"python -m shared.provision, and log in with a service's role as that command creates it"
            )
        try:
            applied = await pogo_sql.get_applied_migrations(database, schema_name=package)
        except asyncpg.UndefinedTableError:
            applied = set()
    migrations = files(package).joinpath("sql", "migrations").iterdir()
    known = {each.name.rpartition(".")[0] for each in migrations if each.name.endswith((".sql", ".py"))}
    if missing := sorted(known - applied):
        raise PostgresMisconfigured(f"the schema {package} lacks {', '.join(missing)}: run python -m {package} migrate")


async def check_connection(pool: Pool) -> str | None:
    """Return None if PostgreSQL answers, else what is wrong, for readiness."""
    try:
        async with connection(pool) as database:
            await database.fetchval("SELECT 1")
    except TransientError:
        return "PostgreSQL does not answer"
    return None
