"""PostgreSQL: connections, migrations, notifications, and which of the driver's errors are transient.

Named SQL statements are in `shared.queries`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from importlib.resources import as_file, files
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

import asyncpg
from asyncpg.pool import PoolConnectionProxy
from pogo_core.util import migrate as pogo
from pogo_core.util import sql as pogo_sql

from shared.errors import SluiceError, TransientError

Record: TypeAlias = asyncpg.Record
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"

# Lost connections, a server that starts or stops, serialization failures and deadlocks: the same call may go through
# later. Everything else is a fault of ours or of the data, and repeating it would hide it.
_PASSING = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.QueryCanceledError,
    asyncpg.LockNotAvailableError,
    asyncpg.InternalClientError,
)
_RECONNECT_SECONDS = 1.0
_CLOSE_LIMIT = 5.0
_MIGRATION_LOCK = 0x51_01_CE


class PostgresUnavailable(TransientError):
    """PostgreSQL is away or gave up on this attempt."""


class PostgresMisconfigured(SluiceError):
    """PostgreSQL is there and does not let us in, or is not prepared for us: the message says what mends it."""


@contextmanager
def wrap_transient_errors() -> Iterator[None]:
    """Turn the driver's errors that may pass into PostgresUnavailable; others go through as they are."""
    try:
        yield
    except _PASSING as error:
        raise PostgresUnavailable(f"PostgreSQL: {type(error).__name__}: {error}") from error
    except asyncpg.InterfaceError as error:
        if "connection" not in str(error) and "pool" not in str(error):
            raise
        raise PostgresUnavailable(f"PostgreSQL: {error}") from error


@contextmanager
def wrap_connection_errors(dsn: str) -> Iterator[None]:
    """Turn what goes wrong with a connection that is opened into PostgresUnavailable or PostgresMisconfigured."""
    try:
        with wrap_transient_errors():
            yield
    except PostgresUnavailable as error:
        raise PostgresUnavailable(f"{error} (asked {_place(dsn)})") from error
    except (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.InsufficientPrivilegeError,
    ) as error:
        raise PostgresMisconfigured(
            f"PostgreSQL refuses: {error}. Look at user, password and database in the address (DSN); "
            "`python -m shared.provision` makes roles and sets passwords."
        ) from error
    except (asyncpg.ClientConfigurationError, ValueError):
        # The driver's own words repeat parts of the address, and so perhaps the password.
        raise PostgresMisconfigured(
            "PostgreSQL's address (DSN) is not understood; the form is postgresql://user:password@host:port/database."
        ) from None


def _place(dsn: str) -> str:
    """Return where a DSN leads, without its login."""
    found = urlsplit(dsn)
    host = found.hostname or parse_qs(found.query).get("host", ["this machine"])[0]
    return f"{host}:{found.port or 5432}"


@asynccontextmanager
async def open_pool(dsn: str, *, size: int, name: str, idle_limit: timedelta | None = None) -> AsyncIterator[Pool]:
    """Open a pool of at most `size` connections that PostgreSQL shows as `name`.

    Raises PostgresUnavailable or PostgresMisconfigured.

    A process that stalls or vanishes within a transaction keeps its locks; after `idle_limit` PostgreSQL ends that.
    """
    settings = {"application_name": name, "timezone": "UTC"}
    if idle_limit is not None:
        settings["idle_in_transaction_session_timeout"] = f"{idle_limit.total_seconds() * 1000:.0f}ms"
    with wrap_connection_errors(dsn):
        pool = await asyncpg.create_pool(
            dsn,
            min_size=1,
            max_size=size,
            init=_prepare,
            server_settings=settings,
            command_timeout=60,
        )
    try:
        yield pool
    finally:
        try:
            # It waits for connections in use; what hangs must not keep the process from ending.
            with suppress(TimeoutError):
                await asyncio.wait_for(pool.close(), _CLOSE_LIMIT)
        finally:
            pool.terminate()


async def _prepare(connection: Connection) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Give a connection within one transaction; what may pass comes out as PostgresUnavailable."""
    with wrap_transient_errors():
        async with pool.acquire() as connection, connection.transaction():
            yield connection


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[Connection]:
    """Give a connection outside a transaction; what may pass comes out as PostgresUnavailable."""
    with wrap_transient_errors():
        async with pool.acquire() as acquired:
            yield acquired


async def migrate(dsn: str, package: str) -> None:
    """Bring a service's schema up to date from its `sql/migrations`; safe when run twice at once.

    Raises PostgresUnavailable or PostgresMisconfigured.
    """
    with wrap_connection_errors(dsn):
        database = await asyncpg.connect(dsn)
    with wrap_transient_errors():
        try:
            # A session lock, so that a second run waits for the first and then finds nothing to do.
            await database.execute("SELECT pg_advisory_lock($1, hashtext($2))", _MIGRATION_LOCK, package)
            with as_file(files(package).joinpath("sql", "migrations")) as folder:
                await pogo.apply(database, folder, schema_name=package)
        except asyncpg.InsufficientPrivilegeError as error:
            raise PostgresMisconfigured(
                f"PostgreSQL refuses: {error}. Prepare the database first: python -m shared.provision"
            ) from error
        finally:
            await database.close()


async def require_schema(dsn: str, package: str) -> None:
    """Check that a service's schema has every migration of this release; a newer schema is accepted.

    Raises PostgresMisconfigured where a migration is missing, and PostgresUnavailable.
    """
    with wrap_connection_errors(dsn):
        database = await asyncpg.connect(dsn)
        try:
            applied = await pogo_sql.get_applied_migrations(database, schema_name=package)
        except asyncpg.UndefinedTableError:
            applied = set()
        finally:
            await database.close()
    migrations = files(package).joinpath("sql", "migrations").iterdir()
    known = {each.name.removesuffix(".sql") for each in migrations if each.name.endswith(".sql")}
    if missing := sorted(known - applied):
        raise PostgresMisconfigured(f"the schema {package} lacks {', '.join(missing)}: run python -m {package} migrate")


async def listen(dsn: str, channels: Mapping[str, Callable[[str], None]], stopping: asyncio.Event) -> None:
    """Call back with the payload of each notification until `stopping` is set, connecting again when cut off.

    Each callback is also called with "" after each connect: something may have been missed.
    """
    while not stopping.is_set():
        try:
            with wrap_transient_errors():
                database = await asyncpg.connect(dsn, server_settings={"application_name": "listener"})
                try:
                    await _listen_on(database, channels, stopping)
                finally:
                    database.terminate()
        except PostgresUnavailable:
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _RECONNECT_SECONDS)


async def _listen_on(
    database: "asyncpg.Connection[Record]", channels: Mapping[str, Callable[[str], None]], stopping: asyncio.Event
) -> None:
    lost = asyncio.Event()
    database.add_termination_listener(lambda _: lost.set())
    for channel, call in channels.items():
        # The name is bound, as asyncpg gives (connection, pid, channel, payload) to one callback per channel.
        await database.add_listener(channel, lambda *said, call=call: call(said[3]))
        call("")
    ended = asyncio.create_task(stopping.wait())
    cut = asyncio.create_task(lost.wait())
    try:
        await asyncio.wait([ended, cut], return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended.cancel()
        cut.cancel()


async def check_connection(pool: Pool) -> str | None:
    """Return None when PostgreSQL answers, else what is wrong in a word or two (for readiness)."""
    try:
        async with connection(pool) as database:
            await database.fetchval("SELECT 1")
    except TransientError:
        return "PostgreSQL does not answer"
    return None
