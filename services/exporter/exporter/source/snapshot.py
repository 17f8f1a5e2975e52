"""A consistent snapshot of the customer's contact history in PostgreSQL, read as a stream (rules E5 to E8)."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from exporter.errors import BadMapping, ExportError, SnapshotGone
from exporter.source.connection import APPLICATION, SourceConnection, open_source
from exporter.source.queries import (
    SourceQuery,
    build_boundaries_query,
    build_content_query,
    build_count_query,
    build_records_query,
    build_size_query,
)
from exporter.source.selection import Selection
from exporter.source.servers import wait_for_replay
from shared.limited_connection import LimitedConnection

Consume = Callable[[bytes | bytearray], Awaitable[None]]

DEFAULT_STALL = timedelta(minutes=1)

# Parallel plans lose the order of rows, and JIT compilation costs more than it saves here. The last settings end a
# backend soon after its client has disconnected, even during a count, or has vanished: an open snapshot keeps the
# server from removing old rows. The others make the JSON text independent of the server's configuration.
_SESSION = """
    SET LOCAL timezone = 'UTC';
    SET LOCAL datestyle = 'ISO, YMD';
    SET LOCAL extra_float_digits = 1;
    SET LOCAL max_parallel_workers_per_gather = 0;
    SET LOCAL jit = off;
    SET LOCAL statement_timeout = 0;
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SET LOCAL tcp_keepalives_idle = 15;
    SET LOCAL tcp_keepalives_interval = 5;
    SET LOCAL tcp_keepalives_count = 3;
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

    def __init__(self, connection: SourceConnection) -> None:
        self._connection = connection
        self._driver = connection.driver

    async def export(self) -> str:
        """Return the name by which other connections can join, for as long as this snapshot is open."""
        return str(await self._connection.watch(self._driver.fetchval("SELECT pg_export_snapshot()")))

    async def estimate(self, selection: Selection) -> PlannerEstimate:
        """Return the planner's estimate of a selection; takes less than a millisecond."""
        query = build_records_query(selection)
        text = await self._connection.watch(self._driver.fetchval(f"EXPLAIN (FORMAT JSON) {query.text}", *query.values))
        plan = json.loads(text)[0]["Plan"]
        # The widths below the top node are those of the columns; the top node's is a guess about JSON text.
        width = max(int(str(node["Plan Width"])) for node in _walk_plan(plan))
        return PlannerEstimate(rows=int(plan["Plan Rows"]), bytes=int(plan["Plan Rows"]) * width)

    async def count(self, selection: Selection) -> int:
        """Return the exact number of selected records."""
        query = build_count_query(selection)
        return int(await self._connection.watch(self._driver.fetchval(query.text, *query.values)))

    async def find_boundaries(self, selection: Selection, step: int) -> tuple[int, list[str]]:
        """Return the number of selected records, and the first key of each `step` records but the first."""
        query = build_boundaries_query(selection, step)
        row = await self._connection.watch(self._driver.fetchrow(query.text, *query.values))
        assert row is not None
        return int(row["rows"]), list(row["keys"] or ())

    async def sample_record_size(self, selection: Selection) -> float | None:
        """Return the mean size in bytes of the first few records' JSON text; None where there are none."""
        query = build_size_query(selection)
        size: float | None = await self._connection.watch(self._driver.fetchval(query.text, *query.values))
        return size

    async def stream(self, query: SourceQuery, consume: Consume) -> None:
        """Pass the query's result to `consume` as binary COPY, chunk by chunk, each after the last call has returned.

        An exception of `consume` ends the COPY and is raised unchanged.
        """
        failed: list[BaseException] = []

        async def guarded(data: bytes | bytearray) -> None:
            self._connection.note_arrival(is_receiving=True)
            try:
                await consume(data)
            except BaseException as error:
                failed.append(error)
                raise
            finally:
                self._connection.note_arrival(is_receiving=False)

        try:
            # COPY takes no parameters: asyncpg has the server quote each value as a literal of its type.
            await self._connection.watch(
                self._driver.copy_from_query(query.text, *query.values, output=guarded, format="binary")
            )
        except ExportError:
            if failed:
                raise failed[0] from None
            raise

    async def read_content(self, source_tenant: int, attachment_id: str, size: int) -> AsyncIterator[bytes]:
        """Yield the `size` bytes of an attachment in chunks of CONTENT_CHUNK. Raises BadMapping if it has fewer."""
        offset = 0
        while offset < size:
            query = build_content_query(source_tenant, attachment_id, offset)
            chunk = await self._connection.watch(self._driver.fetchval(query.text, *query.values))
            if not isinstance(chunk, bytes) or not chunk:
                raise BadMapping("The content of an attachment is shorter than its length.")
            offset += len(chunk)
            yield chunk


@asynccontextmanager
async def open_snapshot(
    dsn: str,
    *,
    join: str | None = None,
    position: str | None = None,
    stall: timedelta = DEFAULT_STALL,
    application: str = APPLICATION,
) -> AsyncIterator[Snapshot]:
    """Connect and open a snapshot, or `join` the snapshot that another connection has exported.

    A standby must have replayed the write-ahead log up to `position` first. A call ends when for `stall` nothing has
    arrived and the server was not seen at work on it. Leaving by an exception cuts the connection, which frees the
    backend at once. Raises SourceUnavailable, SourceBehind, SourceAccessRefused or SnapshotGone.
    """
    async with open_source(dsn, stall=stall, application=application) as connection:
        driver = connection.driver
        if position is not None:
            await wait_for_replay(connection, position)
        await connection.watch(driver.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        if join is not None:
            await connection.watch(_join(driver, join))
        await connection.watch(driver.execute(_SESSION))
        yield Snapshot(connection)


async def _join(driver: LimitedConnection, snapshot: str) -> None:
    try:
        await driver.execute(f"SET TRANSACTION SNAPSHOT {_quote(snapshot)}")
    except (
        asyncpg.InvalidParameterValueError,
        asyncpg.UndefinedObjectError,
        asyncpg.ObjectNotInPrerequisiteStateError,
    ):
        raise SnapshotGone("The snapshot no longer exists: the transaction that exported it has ended.") from None


def _walk_plan(plan: dict[str, object]) -> Iterator[dict[str, object]]:
    yield plan
    below = plan.get("Plans", [])
    for child in below if isinstance(below, list) else []:
        yield from _walk_plan(child)


def _quote(text: str) -> str:
    if "'" in text or "\\" in text:
        raise ValueError("a snapshot's name contains no quotes")
    return f"'{text}'"
