"""Retention (A2): files whose time is over are removed, and every removal is told."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

from history.store.files import Files, Removing
from history.store.objects import Objects
from shared.clock import Clock, SystemClock
from shared.errors import TransientError
from shared.lifecycle import wait_for_first
from shared.observe import FILES_OVERDUE, FILES_REMOVED, get_logger

log = get_logger(__name__)

_AT_ONCE = 16
_OVERDUE = timedelta(hours=1)


class Retention:
    """Removes files: first the object, then the row's state and the event in one transaction; safe to repeat."""

    def __init__(
        self, files: Files, objects: Objects, *, kept: timedelta, every: timedelta, clock: Clock | None = None
    ) -> None:
        self._files = files
        self._objects = objects
        self._kept = kept
        self._every = every
        self._clock = clock or SystemClock()

    async def run(self, stopping: asyncio.Event) -> None:
        """Remove what is due until `stopping` is set; several processes share the work."""
        while not stopping.is_set():
            try:
                busy = await self.turn()
                FILES_OVERDUE.set(await self._files.count_overdue(self._clock.now() - _OVERDUE, self._kept))
            except TransientError as error:
                log.warning("files not removed, trying again", error=str(error))
                busy = 0
            if not busy:
                await wait_for_first(stopping, seconds=self._every.total_seconds())

    async def turn(self, limit: int = 200) -> int:
        """Remove some of what is due; return how many files. Raises PostgresUnavailable or StoreUnavailable."""
        now = self._clock.now()
        await self._files.drop_links(now)
        async with self._files.expired(now, self._kept, limit) as removing:
            await self._remove(removing, now)
        return len(removing.rows)

    async def delete(self, tenant_id: UUID, artifact_ids: list[UUID], by: UUID) -> list[UUID]:
        """Remove files at a person's word; return those that were still there."""
        now = self._clock.now()
        async with self._files.chosen(tenant_id, artifact_ids) as removing:
            await self._remove(removing, now, by=by)
        return [row["artifact_id"] for row in removing.rows]

    async def _remove(self, removing: Removing, now: datetime, *, by: UUID | None = None) -> None:
        rows = list(removing.rows)
        for place in range(0, len(rows), _AT_ONCE):
            await asyncio.gather(*(self._objects.delete(row["object"]) for row in rows[place : place + _AT_ONCE]))
        await self._files.removed(removing, now, by=by)
        FILES_REMOVED.labels("expired" if by is None else "deleted").inc(len(rows))
