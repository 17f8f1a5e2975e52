"""Listening for PostgreSQL's notifications, on a connection that is watched and replaced when it is lost."""

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

import asyncpg

from shared.errors import SluiceError
from shared.lifecycle import wait_for_first
from shared.observe import LISTENERS_LOST, get_logger
from shared.postgres import Record, connect

log = get_logger(__name__)

_RECONNECT_SECONDS = 1.0
_PATIENCE_SECONDS = 10.0


class Listener:
    """Calls the callback of a channel with the payload of each notification.

    A connection that only listens looks the same whether nothing happens or its server has vanished, so it is checked
    by a round trip after each `patience` (seconds) without news, which must be answered within the same time. All
    callbacks are also called with "" after each connection, since notifications may have been missed.
    """

    def __init__(
        self, dsn: str, channels: Mapping[str, Callable[[str], None]], *, patience: float = _PATIENCE_SECONDS
    ) -> None:
        self._dsn = dsn
        self._channels = channels
        self._patience = patience
        self._fault: str | None = "not connected yet"

    def find_fault(self) -> str | None:
        """Return None while the listener is connected, else what is wrong, for readiness."""
        if self._fault is None:
            return None
        return f"PostgreSQL's notifications do not arrive, so changes are noticed late: {self._fault}"

    async def run(self, stopping: asyncio.Event) -> None:
        """Listen until `stopping` is set; whatever fails, connect again after a second."""
        while not stopping.is_set():
            try:
                async with connect(self._dsn, name="listener") as database:
                    await self._listen_on(database, stopping)
            except Exception as error:
                if self._fault is None:
                    LISTENERS_LOST.inc()
                    log.warning("listener lost, connecting again", error=type(error).__name__)
                self._fault = str(error) if isinstance(error, SluiceError) else type(error).__name__
                await wait_for_first(stopping, seconds=_RECONNECT_SECONDS)

    async def _listen_on(self, database: "asyncpg.Connection[Record]", stopping: asyncio.Event) -> None:
        lost = asyncio.Event()
        database.add_termination_listener(lambda _: lost.set())
        for channel, call in self._channels.items():
            await database.add_listener(channel, partial(_pass_payload, call))
            call("")
        self._fault = None
        while not stopping.is_set():
            await wait_for_first(stopping, lost, seconds=self._patience)
            if not stopping.is_set():
                await database.execute("SELECT 1", timeout=self._patience)


def _pass_payload(call: Callable[[str], None], *notification: object) -> None:
    # asyncpg calls with (connection, pid, channel, payload).
    call(str(notification[3]))
