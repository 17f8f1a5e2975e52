"""Connections to the source that notice when its server has vanished: a call is watched until its end.

A long query is silent, too, so a call without news is not yet lost: another connection asks the server whether it is
at work on it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import asyncpg

from exporter.errors import SourceUnavailable
from exporter.source.faults import describe_conflict, invalid_address, translate_errors
from shared.limited_connection import LimitedConnection

T = TypeVar("T")

APPLICATION = "sluice-exporter"
"""The name under which the source's server lists the exporters' connections."""
CONNECT_SECONDS = 10.0
_CONFLICTS = """
SELECT (confl_tablespace + confl_lock + confl_snapshot + confl_bufferpin + confl_deadlock)::int
FROM pg_stat_database_conflicts
WHERE datname = current_database() AND pg_is_in_recovery()
"""
_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_CANCEL_SECONDS, _CLOSE_SECONDS = 5.0, 5.0
_CHECKS_PER_STALL = 4

# A backend that waits to send to us is stuck behind a broken connection; one that waits for us has nothing to do.
_IS_AT_WORK = """
SELECT EXISTS (
    SELECT FROM pg_stat_activity
    WHERE pid = $1 AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Client'
)
"""


@dataclass(eq=False)
class SourceConnection:
    """A connection to the source whose calls end after `stall` without a sign of life.

    `driver` is the driver's own connection, which has the session of the server's process `pid`. `conflicts` is how
    many queries the server had cancelled for its replay when it was opened; None where it is no standby.
    """

    dsn: str
    driver: LimitedConnection
    pid: int
    stall: timedelta
    conflicts: int | None = None
    _last_sign: float = field(default_factory=time.monotonic)
    _is_receiving: bool = False

    def note_arrival(self, *, is_receiving: bool) -> None:
        """Note that bytes have arrived; while `is_receiving` they are being handled, and no more are expected."""
        self._last_sign = time.monotonic()
        self._is_receiving = is_receiving

    async def watch(self, call: Coroutine[Any, Any, T]) -> T:
        """Return the result of a call of the driver.

        Raises SourceUnavailable when for `stall` nothing has arrived and the server was not seen at work on the call,
        and the driver's errors as `translate_errors` does.
        """
        self.note_arrival(is_receiving=False)
        calling = asyncio.ensure_future(call)
        try:
            while not calling.done():
                await asyncio.wait({calling}, timeout=self._check_seconds)
                if not calling.done():
                    await self._check()
            with translate_errors():
                return calling.result()
        except SourceUnavailable as error:
            if await self._has_new_conflict():
                raise describe_conflict() from error
            raise
        finally:
            await _cancel(calling)

    @property
    def _check_seconds(self) -> float:
        return self.stall.total_seconds() / _CHECKS_PER_STALL

    async def _check(self) -> None:
        is_overdue = time.monotonic() - self._last_sign >= self._check_seconds
        if self._is_receiving or (is_overdue and await self._is_at_work()):
            self._last_sign = time.monotonic()
        seconds = self.stall.total_seconds()
        if time.monotonic() - self._last_sign >= seconds:
            self.driver.terminate()
            raise SourceUnavailable(
                f"The source's PostgreSQL has sent nothing for {seconds:g} s and is not seen at work: the server or "
                "the network between is gone. SLUICE_EXPORTER_SOURCE_STALL sets the time."
            )

    async def _is_at_work(self) -> bool:
        try:
            return bool(await self._ask(_IS_AT_WORK, self.pid))
        except asyncpg.TooManyConnectionsError:
            return True  # the server answers, and there is no better sign
        except _ERRORS:
            return False

    async def _has_new_conflict(self) -> bool:
        """Return whether a lost connection was ended by a standby, whose words do not arrive between two calls."""
        if self.conflicts is None:
            return False
        try:
            return (await self._ask(_CONFLICTS) or 0) > self.conflicts
        except _ERRORS:
            return False

    async def _ask(self, query: str, *values: object) -> int | None:
        async with asyncio.timeout(min(self._check_seconds, CONNECT_SECONDS)):
            second = await self._connect_to_same_server()
            try:
                answer: int | None = await second.fetchval(query, *values)
                return answer
            finally:
                second.terminate()

    async def _connect_to_same_server(self) -> LimitedConnection:
        # An address may name several servers.
        address = self.driver.address
        host, port = address if isinstance(address, tuple) else (None, None)
        settings = {"application_name": APPLICATION}
        return await asyncpg.connect(
            self.dsn,
            host=host,
            port=port,
            server_settings=settings,
            statement_cache_size=0,
            connection_class=LimitedConnection,
        )


async def _cancel(calling: "asyncio.Future[T]") -> None:
    if calling.done():
        return
    calling.add_done_callback(lambda late: None if late.cancelled() else late.exception())
    calling.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.wait({calling}, timeout=_CANCEL_SECONDS)


async def _connect(dsn: str, stall: timedelta, application: str) -> SourceConnection:
    try:
        with translate_errors():
            driver = await asyncpg.connect(
                dsn,
                timeout=CONNECT_SECONDS,
                server_settings={"application_name": application},
                statement_cache_size=0,
                connection_class=LimitedConnection,
            )
    except ValueError:
        raise invalid_address() from None
    try:
        with translate_errors():
            pid = await driver.fetchval("SELECT pg_backend_pid()", timeout=CONNECT_SECONDS)
            conflicts = await driver.fetchval(_CONFLICTS, timeout=CONNECT_SECONDS)
    except BaseException:
        driver.terminate()
        raise
    return SourceConnection(dsn, driver, pid, stall, conflicts)


@asynccontextmanager
async def open_source(dsn: str, *, stall: timedelta, application: str = APPLICATION) -> AsyncIterator[SourceConnection]:
    """Connect to the source; leaving by an exception cuts the connection, which frees the backend at once.

    Raises SourceUnavailable or SourceAccessRefused.
    """
    connection = await _connect(dsn, stall, application)
    try:
        yield connection
        # Everything is done: how the connection ends no longer matters.
        with suppress(*_ERRORS):
            await connection.driver.close(timeout=_CLOSE_SECONDS)
    finally:
        connection.driver.terminate()
