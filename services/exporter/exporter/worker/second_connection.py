"""A run's second connection to the source: it counts, and reads large attachments while the first one streams."""

import asyncio
from collections.abc import Awaitable, Callable

from exporter.source.selection import Selection
from exporter.source.snapshot import Snapshot


class SecondConnection:
    """A connection that joins the snapshot when it is first needed; most helpers never need it.

    Methods raise as those of Snapshot do, and SnapshotGone when the snapshot can no longer be joined.
    """

    def __init__(self, open_snapshot: Callable[[], Awaitable[Snapshot]]) -> None:
        self._open_snapshot = open_snapshot
        self._snapshot: Snapshot | None = None
        self._lock = asyncio.Lock()

    async def count(self, selection: Selection) -> int:
        """Return the number of selected records; waits for earlier counts."""
        async with self._lock:
            return await (await self._get_snapshot()).count(selection)

    async def wait_until_idle(self) -> Snapshot:
        """Return the connection's snapshot once no count is under way or waiting."""
        async with self._lock:
            return await self._get_snapshot()

    async def _get_snapshot(self) -> Snapshot:
        if self._snapshot is None:
            self._snapshot = await self._open_snapshot()
        return self._snapshot
