"""Reads a selection over several connections at once and hands it on in key order, in bounded memory.

One backend makes JSON text more slowly than all the rest is done with it, so a second one works ahead: the key space is
taken in short ranges, each read whole by one connection.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from exporter.selection import KeyRange, Selection
from exporter.source import Snapshot

RANGE_ROWS = 2_000
"""Records of a range: so few that a range ahead of its turn is held whole, so many that beginning one costs little."""

AHEAD = 6 * 1024 * 1024
"""Bytes that are held ahead of their turn at most, and a chunk for each connection."""

Take = Callable[[bytes], Awaitable[None]]
End = Callable[[], None]


@dataclass
class _Range:
    keys: KeyRange
    chunks: deque[bytes] = field(default_factory=deque)
    is_read: bool = False


class ReadAhead:
    """Several connections of one snapshot, used at the same time for one selection."""

    def __init__(self, connections: Sequence[Snapshot], selection: Selection, *, range_rows: int = RANGE_ROWS) -> None:
        self._connections = connections
        self._selection = selection
        self._range_rows = range_rows
        self._next_first = (selection.keys or KeyRange()).first
        self._is_planned = False
        self._planning = asyncio.Lock()
        self._ranges: deque[_Range] = deque()
        self._held = 0
        self._changed = asyncio.Condition()

    async def stream(self, take: Take, end: End) -> None:
        """Give the chunks of each range's binary COPY to `take`, in order, and call `end` after the last of a range.

        Raises what reading or `take` raises.
        """
        readers = [asyncio.create_task(self._read(each), name="read ahead") for each in self._connections]
        handing_on = asyncio.create_task(self._hand_on(take, end), name="hand on")
        try:
            # Whoever fails first says why; until all is read, nobody else ends.
            for done in asyncio.as_completed([*readers, handing_on]):
                await done
        finally:
            for task in (*readers, handing_on):
                task.cancel()
            await asyncio.gather(*readers, handing_on, return_exceptions=True)

    async def _read(self, connection: Snapshot) -> None:
        while (piece := await self._plan(connection)) is not None:

            async def hold(data: bytes, piece: _Range = piece) -> None:
                async with self._changed:
                    # The range whose turn it is goes on as it is handed on, else all would wait for one another.
                    await self._changed.wait_for(lambda: self._held < AHEAD or self._is_wanted(piece))
                    piece.chunks.append(data)
                    self._held += len(data)
                    self._changed.notify_all()

            await connection.stream(replace(self._selection, keys=piece.keys), hold)
            async with self._changed:
                piece.is_read = True
                self._changed.notify_all()

    async def _plan(self, connection: Snapshot) -> _Range | None:
        """Return the next range, by a look at the keys over the connection that will read it; None after the last."""
        whole = self._selection.keys or KeyRange()
        async with self._planning:
            if self._is_planned:
                return None
            rest = KeyRange(self._next_first, whole.before, whole.after)
            place = self._range_rows
            before = await connection.key_at(replace(self._selection, keys=rest), place)
            while before is not None and before == rest.first:
                # More records than a range has the same key, which no view should give.
                place *= 2
                before = await connection.key_at(replace(self._selection, keys=rest), place)
            piece = _Range(replace(rest, before=before or whole.before))
            self._next_first, self._is_planned = before, before is None
            async with self._changed:
                self._ranges.append(piece)
                self._changed.notify_all()
            return piece

    async def _hand_on(self, take: Take, end: End) -> None:
        while (data := await self._next()) is not None:
            if data:
                await take(data)
            else:
                end()

    async def _next(self) -> bytes | None:
        """Wait for the next chunk in order; empty at the end of a range, None at the end of all."""
        async with self._changed:
            await self._changed.wait_for(self._can_go_on)
            if not self._ranges:
                return None
            piece = self._ranges[0]
            if piece.chunks:
                data = piece.chunks.popleft()
                self._held -= len(data)
            else:
                data = b""
                self._ranges.popleft()
            self._changed.notify_all()
            return data

    def _is_wanted(self, piece: _Range) -> bool:
        return self._ranges[0] is piece and not piece.chunks

    def _can_go_on(self) -> bool:
        if not self._ranges:
            return self._is_planned
        return bool(self._ranges[0].chunks) or self._ranges[0].is_read
