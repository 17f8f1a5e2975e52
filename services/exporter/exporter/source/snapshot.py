"""Reads the customer's contact history from PostgreSQL: one snapshot, streamed (rules E5 to E8)."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from exporter.errors import AccessRefused, BadMapping, ExportError, SnapshotGone, SourceUnavailable
from exporter.source.queries import (
    Query,
    boundaries_query,
    content_query,
    count_query,
    mend_of,
    records_query,
    size_query,
)
from exporter.source.selection import Selection

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Consume = Callable[[bytes | bytearray], Awaitable[None]]

CONNECT_SECONDS = 10.0
_COLUMN = re.compile(r'column (?:\w+\.)?"?(\w+)"? does not exist')

# Parallel plans lose the order of rows and compiling costs more than it saves here. The last setting, new in PostgreSQL
# 14, makes a backend stop soon after we have gone, even in a count. The rest makes JSON text the same everywhere.
_SESSION = """
    SET LOCAL timezone = 'UTC';
    SET LOCAL datestyle = 'ISO, YMD';
    SET LOCAL extra_float_digits = 1;
    SET LOCAL max_parallel_workers_per_gather = 0;
    SET LOCAL jit = off;
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SELECT set_config('client_connection_check_interval', '500', true)
        WHERE current_setting('server_version_num')::int >= 140000;
"""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the planner expects: rows, and their bytes as stored (JSON text is longer)."""

    rows: int
    bytes: int


class Snapshot:
    """One consistent, read-only view of the source on one connection; one call at a time.

    Whatever fails raises SourceUnavailable (try again), AccessRefused or BadMapping.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def export(self) -> str:
        """Return the name under which other connections can join, as long as this snapshot is open."""
        with clear_errors():
            return str(await self._connection.fetchval("SELECT pg_export_snapshot()"))

    async def estimate(self, selection: Selection) -> Estimate:
        """Ask the planner how much is selected: under a millisecond, about right."""
        query = records_query(selection)
        with clear_errors():
            text = await self._connection.fetchval(f"EXPLAIN (FORMAT JSON) {query.text}", *query.values)
        plan = json.loads(text)[0]["Plan"]
        # The widths below the top are those of the columns; the top's is a guess about JSON text.
        width = max(int(str(node["Plan Width"])) for node in _nodes(plan))
        return Estimate(rows=int(plan["Plan Rows"]), bytes=int(plan["Plan Rows"]) * width)

    async def count(self, selection: Selection) -> int:
        """Count what is selected, exactly."""
        query = count_query(selection)
        with clear_errors():
            return int(await self._connection.fetchval(query.text, *query.values))

    async def boundaries(self, selection: Selection, step: int) -> tuple[int, list[str]]:
        """Return how many records are selected, and the key of the first of every `step` records but the first."""
        query = boundaries_query(selection, step)
        with clear_errors():
            row = await self._connection.fetchrow(query.text, *query.values)
        assert row is not None
        return int(row[0]), list(row[1] or ())

    async def record_size(self, selection: Selection) -> float | None:
        """Return about how many bytes a record's JSON text has, by a look at the first; None where there is none."""
        query = size_query(selection)
        with clear_errors():
            size: float | None = await self._connection.fetchval(query.text, *query.values)
        return size

    async def stream(self, query: Query, consume: Consume) -> None:
        """Give what is selected as binary COPY, chunk by chunk, to `consume`; the next chunk is read when it returns.

        An exception of `consume` ends the COPY and comes out as it is.
        """
        failed: list[BaseException] = []

        async def guarded(data: bytes | bytearray) -> None:
            try:
                await consume(data)
            except BaseException as error:
                failed.append(error)
                raise

        try:
            with clear_errors():
                # asyncpg lets the server quote each value as a literal of the parameter's type, COPY itself takes none.
                await self._connection.copy_from_query(query.text, *query.values, output=guarded, format="binary")
        except ExportError:
            if failed:
                raise failed[0] from None
            raise

    async def content(self, source_tenant: int, attachment_id: str, size: int) -> AsyncIterator[bytes]:
        """Yield the `size` bytes of one attachment's content in chunks of CONTENT_CHUNK."""
        offset = 0
        while offset < size:
            query = content_query(source_tenant, attachment_id, offset)
            with clear_errors():
                chunk = await self._connection.fetchval(query.text, *query.values)
            if not isinstance(chunk, bytes) or not chunk:
                raise BadMapping("The content of an attachment ends before its length.")
            offset += len(chunk)
            yield chunk


@asynccontextmanager
async def open_snapshot(
    dsn: str, *, join: str | None = None, application: str = "sluice-exporter"
) -> AsyncIterator[Snapshot]:
    """Connect and open a snapshot, or `join` the one another connection has exported.

    Raises SourceUnavailable, AccessRefused or SnapshotGone. Leaving by an exception cuts the connection, which frees
    the backend at once.
    """
    connection = await _connect(dsn, application)
    try:
        with clear_errors():
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if join is not None:
                await _join(connection, join)
            await connection.execute(_SESSION)
        yield Snapshot(connection)
    except BaseException:
        connection.terminate()
        raise
    # All was read: how the connection ends is no matter any more.
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        await connection.close(timeout=CONNECT_SECONDS)


async def _join(connection: Connection, snapshot: str) -> None:
    try:
        await connection.execute(f"SET TRANSACTION SNAPSHOT {_literal(snapshot)}")
    except (
        asyncpg.InvalidParameterValueError,
        asyncpg.UndefinedObjectError,
        asyncpg.ObjectNotInPrerequisiteStateError,
    ):
        raise SnapshotGone("The snapshot is gone: the transaction that exported it has ended.") from None


async def _connect(dsn: str, application: str) -> Connection:
    settings = {"application_name": application}
    try:
        with clear_errors():
            return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, server_settings=settings, statement_cache_size=0)
    except ValueError:
        raise _bad_address() from None


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn the driver's errors into ours. Their own words may quote data, so only names of things go further."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _of_server(error) from None
    except asyncpg.ClientConfigurationError:
        raise _bad_address() from None
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        # (The last is what the driver says when the connection is cut between two steps of one call.)
        raise SourceUnavailable(
            f"The source's PostgreSQL cannot be reached or was lost ({type(error).__name__})."
        ) from error


def _of_server(error: asyncpg.PostgresError) -> ExportError:
    state = error.sqlstate or ""
    if state.startswith("28") or state in {"42501", "3D000"}:
        return AccessRefused(
            f"The source refuses access ({_name(error)}): the reader needs CONNECT, USAGE and SELECT on the views."
        )
    if state in {"42P01", "3F000"}:
        return BadMapping(
            f"The source lacks a view ({_identifiers(error)}): "
            "contact_history must hold interaction, contact and attachment. "
            "deploy/contact-history/views.sql makes them."
        )
    if state == "42703":
        return BadMapping(f"A view of the source lacks a column ({_identifiers(error)}).{_mend(error)}")
    if state.startswith(("42", "22", "54")):
        return BadMapping(f"A value or column of the source cannot be exported ({_name(error)}, SQLSTATE {state}).")
    return SourceUnavailable(f"The source's PostgreSQL could not go on ({_name(error)}, SQLSTATE {state}).")


def _bad_address() -> AccessRefused:
    # The driver's own words repeat parts of the address, and so perhaps the password.
    return AccessRefused("The source's address (DSN) is not understood.")


def _name(error: asyncpg.PostgresError) -> str:
    return type(error).__name__.removesuffix("Error")


def _identifiers(error: asyncpg.PostgresError) -> str:
    # These two messages name relations and columns only.
    return str(error.args[0]) if error.args else _name(error)


def _mend(error: asyncpg.PostgresError) -> str:
    found = _COLUMN.search(_identifiers(error))
    mend = mend_of(found[1]) if found is not None else None
    return f" Where its values are not known, {mend}." if mend is not None else ""


def _nodes(plan: dict[str, object]) -> Iterator[dict[str, object]]:
    yield plan
    below = plan.get("Plans", [])
    for child in below if isinstance(below, list) else []:
        yield from _nodes(child)


def _literal(text: str) -> str:
    if "'" in text or "\\" in text:
        raise ValueError("a snapshot's name has no quotes")
    return f"'{text}'"
