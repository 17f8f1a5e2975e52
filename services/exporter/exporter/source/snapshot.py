"""A consistent snapshot of the customer's contact history in PostgreSQL, read as a stream (rules E5 to E8)."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from exporter.errors import BadMapping, ExportError, SnapshotGone, SourceAccessRefused, SourceUnavailable
from exporter.source.columns import hint_for
from exporter.source.queries import (
    SourceQuery,
    build_boundaries_query,
    build_content_query,
    build_count_query,
    build_records_query,
    build_size_query,
)
from exporter.source.selection import Selection

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Consume = Callable[[bytes | bytearray], Awaitable[None]]

APPLICATION = "sluice-exporter"
"""The name under which the source's server lists the exporters' connections."""
CONNECT_SECONDS = 10.0
_MISSING_COLUMN = re.compile(r'column (?:\w+\.)?"?(\w+)"? does not exist')

# Parallel plans lose the order of rows, and JIT compilation costs more than it saves here. The last setting, new in
# PostgreSQL 14, makes a backend stop soon after the client has disconnected, even during a count. The others make the
# JSON text independent of the server's configuration.
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
class PlannerEstimate:
    """The planner's estimate: rows, and their bytes as stored (their JSON text is longer)."""

    rows: int
    bytes: int


class Snapshot:
    """A consistent, read-only view of the source on one connection; one call at a time.

    Every method raises SourceUnavailable (transient), SourceAccessRefused or BadMapping.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def export(self) -> str:
        """Return the name by which other connections can join, for as long as this snapshot is open."""
        with translate_errors():
            return str(await self._connection.fetchval("SELECT pg_export_snapshot()"))

    async def estimate(self, selection: Selection) -> PlannerEstimate:
        """Return the planner's estimate of a selection; takes less than a millisecond."""
        query = build_records_query(selection)
        with translate_errors():
            text = await self._connection.fetchval(f"EXPLAIN (FORMAT JSON) {query.text}", *query.values)
        plan = json.loads(text)[0]["Plan"]
        # The widths below the top node are those of the columns; the top node's is a guess about JSON text.
        width = max(int(str(node["Plan Width"])) for node in _walk_plan(plan))
        return PlannerEstimate(rows=int(plan["Plan Rows"]), bytes=int(plan["Plan Rows"]) * width)

    async def count(self, selection: Selection) -> int:
        """Return the exact number of selected records."""
        query = build_count_query(selection)
        with translate_errors():
            return int(await self._connection.fetchval(query.text, *query.values))

    async def find_boundaries(self, selection: Selection, step: int) -> tuple[int, list[str]]:
        """Return the number of selected records, and the first key of each `step` records but the first."""
        query = build_boundaries_query(selection, step)
        with translate_errors():
            row = await self._connection.fetchrow(query.text, *query.values)
        assert row is not None
        return int(row["rows"]), list(row["keys"] or ())

    async def sample_record_size(self, selection: Selection) -> float | None:
        """Return the mean size in bytes of the first few records' JSON text; None where there are none."""
        query = build_size_query(selection)
        with translate_errors():
            size: float | None = await self._connection.fetchval(query.text, *query.values)
        return size

    async def stream(self, query: SourceQuery, consume: Consume) -> None:
        """Pass the query's result to `consume` as binary COPY, chunk by chunk, each after the last call has returned.

        An exception of `consume` ends the COPY and is raised unchanged.
        """
        failed: list[BaseException] = []

        async def guarded(data: bytes | bytearray) -> None:
            try:
                await consume(data)
            except BaseException as error:
                failed.append(error)
                raise

        try:
            with translate_errors():
                # COPY takes no parameters: asyncpg has the server quote each value as a literal of its type.
                await self._connection.copy_from_query(query.text, *query.values, output=guarded, format="binary")
        except ExportError:
            if failed:
                raise failed[0] from None
            raise

    async def read_content(self, source_tenant: int, attachment_id: str, size: int) -> AsyncIterator[bytes]:
        """Yield the `size` bytes of an attachment in chunks of CONTENT_CHUNK. Raises BadMapping if it has fewer."""
        offset = 0
        while offset < size:
            query = build_content_query(source_tenant, attachment_id, offset)
            with translate_errors():
                chunk = await self._connection.fetchval(query.text, *query.values)
            if not isinstance(chunk, bytes) or not chunk:
                raise BadMapping("The content of an attachment is shorter than its length.")
            offset += len(chunk)
            yield chunk


@asynccontextmanager
async def open_snapshot(
    dsn: str, *, join: str | None = None, application: str = APPLICATION
) -> AsyncIterator[Snapshot]:
    """Connect and open a snapshot, or `join` the snapshot that another connection has exported.

    Leaving by an exception cuts the connection, which frees the backend at once. Raises SourceUnavailable,
    SourceAccessRefused or SnapshotGone.
    """
    connection = await _connect(dsn, application)
    try:
        with translate_errors():
            await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            if join is not None:
                await _join(connection, join)
            await connection.execute(_SESSION)
        yield Snapshot(connection)
    except BaseException:
        connection.terminate()
        raise
    # Everything was read: how the connection ends no longer matters.
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        await connection.close(timeout=CONNECT_SECONDS)


async def _join(connection: Connection, snapshot: str) -> None:
    try:
        await connection.execute(f"SET TRANSACTION SNAPSHOT {_quote(snapshot)}")
    except (
        asyncpg.InvalidParameterValueError,
        asyncpg.UndefinedObjectError,
        asyncpg.ObjectNotInPrerequisiteStateError,
    ):
        raise SnapshotGone("The snapshot no longer exists: the transaction that exported it has ended.") from None


async def _connect(dsn: str, application: str) -> Connection:
    settings = {"application_name": application}
    try:
        with translate_errors():
            return await asyncpg.connect(dsn, timeout=CONNECT_SECONDS, server_settings=settings, statement_cache_size=0)
    except ValueError:
        raise _invalid_address() from None


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise the driver's errors as SourceUnavailable, SourceAccessRefused or BadMapping.

    The driver's messages may quote data, so only the names of views and columns are passed on.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _from_server_error(error) from None
    except asyncpg.ClientConfigurationError:
        raise _invalid_address() from None
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        # (The driver raises the last one when the connection is cut between two steps of a call.)
        raise SourceUnavailable(
            f"The source's PostgreSQL cannot be reached, or the connection was lost ({type(error).__name__})."
        ) from error


def _from_server_error(error: asyncpg.PostgresError) -> ExportError:
    state = error.sqlstate or ""
    if state.startswith("28") or state in {"42501", "3D000"}:
        return SourceAccessRefused(
            f"The source refuses access ({_name_of(error)}): the reader needs CONNECT, USAGE and SELECT on the views."
        )
    if state in {"42P01", "3F000"}:
        return BadMapping(
            f"The source lacks a view ({_identifiers_in(error)}): "
            "the schema contact_history must contain interaction, contact and attachment. "
            "deploy/contact-history/views.sql creates them."
        )
    if state == "42703":
        return BadMapping(
            f"A view of the source lacks a column ({_identifiers_in(error)}).{_describe_missing_column(error)}"
        )
    if state.startswith(("42", "22", "54")):
        return BadMapping(f"A value or column of the source cannot be exported ({_name_of(error)}, SQLSTATE {state}).")
    return SourceUnavailable(f"The source's PostgreSQL ended the query ({_name_of(error)}, SQLSTATE {state}).")


def _invalid_address() -> SourceAccessRefused:
    # The driver's message repeats parts of the address, perhaps the password.
    return SourceAccessRefused(
        "The source's address (DSN) is invalid; the form is postgresql://user:password@host:port/database."
    )


def _name_of(error: asyncpg.PostgresError) -> str:
    return type(error).__name__.removesuffix("Error")


def _identifiers_in(error: asyncpg.PostgresError) -> str:
    # The messages for missing relations and columns contain nothing else.
    return str(error.args[0]) if error.args else _name_of(error)


def _describe_missing_column(error: asyncpg.PostgresError) -> str:
    found = _MISSING_COLUMN.search(_identifiers_in(error))
    hint = hint_for(found[1]) if found is not None else None
    return f" Where its values are unknown, {hint}." if hint is not None else ""


def _walk_plan(plan: dict[str, object]) -> Iterator[dict[str, object]]:
    yield plan
    below = plan.get("Plans", [])
    for child in below if isinstance(below, list) else []:
        yield from _walk_plan(child)


def _quote(text: str) -> str:
    if "'" in text or "\\" in text:
        raise ValueError("a snapshot's name contains no quotes")
    return f"'{text}'"
