"""Retention (rule A2): how long files are kept, and the removal of expired ones, each with its event."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from history.store import SOURCE
from history.store.artifacts import ArtifactStore
from history.store.links import LINK_LIFETIME, LinkStore
from history.store.objects import ArtifactObjects
from history.store.retention import RetentionStore
from history.store.unit_of_work import UnitOfWork
from shared import outbox
from shared.clock import Clock, SystemClock
from shared.errors import TransientError
from shared.http.idempotency import drop_responses
from shared.lifecycle import wait_for_first
from shared.observe import FILES_OVERDUE, FILES_REMOVED, get_logger
from shared.postgres import Pool, Record, connection, transaction

log = get_logger(__name__)

_CONCURRENT_DELETES = 16
_OVERDUE = timedelta(hours=1)


class RetentionService:
    """Removes files: first the object, then the row's state and the event in one transaction; safe to repeat."""

    def __init__(
        self,
        pool: Pool,
        objects: ArtifactObjects,
        *,
        kept: timedelta,
        interval: timedelta,
        clock: Clock | None = None,
    ) -> None:
        self._pool = pool
        self._artifacts = ArtifactStore(pool)
        self._tenants = RetentionStore(pool)
        self._objects = objects
        self._kept = kept
        self._interval = interval
        self._clock = clock or SystemClock()

    async def run(self, stopping: asyncio.Event) -> None:
        """Remove expired files until `stopping` is set; several processes share the work."""
        while not stopping.is_set():
            try:
                removed = await self.remove_expired()
                overdue_at = self._clock.now() - _OVERDUE
                FILES_OVERDUE.set(await self._artifacts.count_overdue(overdue_at, self._kept))
            except TransientError as error:
                log.warning("retrying removal of expired files", error=str(error))
                removed = 0
            if not removed:
                await wait_for_first(stopping, seconds=self._interval.total_seconds())

    async def remove_expired(self, limit: int = 200) -> int:
        """Remove at most `limit` expired files; return how many. Raises PostgresUnavailable or StoreUnavailable."""
        now = self._clock.now()
        await LinkStore(self._pool).drop_expired(now)
        async with connection(self._pool) as database:
            # Links are all that requests with an Idempotency-Key create here; an expired one is not repeated.
            await drop_responses(database, now - LINK_LIFETIME)
        async with transaction(self._pool) as database:
            rows = await self._artifacts.lock_expired(database, now=now, kept=self._kept, limit=limit)
            await self._delete_objects(rows)
            events = await self._artifacts.mark_removed(database, rows, at=now, by=None)
            await outbox.write(database, events, source=SOURCE, at=now)
        FILES_REMOVED.labels("expired").inc(len(rows))
        return len(rows)

    async def delete(self, work: UnitOfWork, artifact_ids: Sequence[UUID]) -> list[UUID]:
        """Remove files for a user; return those that were still available.

        Raises PostgresUnavailable or StoreUnavailable.
        """
        rows = await self._artifacts.lock(work.connection, work.identity.tenant_id, artifact_ids)
        await self._delete_objects(rows)
        removed_by = work.identity.user_id
        work.emit(*await self._artifacts.mark_removed(work.connection, rows, at=work.at, by=removed_by))
        FILES_REMOVED.labels("deleted").inc(len(rows))
        return [row["artifact_id"] for row in rows]

    async def find_period(self, tenant_id: UUID) -> timedelta:
        """Return how long a tenant's files are kept. Raises PostgresUnavailable."""
        days = await self._tenants.find_days(tenant_id)
        return min(self._kept, timedelta(days=days)) if days else self._kept

    async def set_days(self, work: UnitOfWork, days: int) -> None:
        """Keep the caller's tenant's files for so many days, existing files included. Raises PostgresUnavailable."""
        tenant_id = work.identity.tenant_id
        before = await self.find_period(tenant_id)
        await self._tenants.set_days(work.connection, tenant_id, days)
        work.audit("retention.edit", [tenant_id], before={"days": before.days}, after={"days": days})

    async def _delete_objects(self, rows: Sequence[Record]) -> None:
        for place in range(0, len(rows), _CONCURRENT_DELETES):
            batch = rows[place : place + _CONCURRENT_DELETES]
            await asyncio.gather(*(self._objects.delete(row["object"]) for row in batch))
