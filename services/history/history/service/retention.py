"""Retention (rule A2): how long files are kept, and the removal of expired ones, each with its event."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from history.errors import FilesNotDeleted
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
from shared.observe import FILE_REMOVAL_FAILURES, FILES_OVERDUE, FILES_REFUSED, FILES_REMOVED, get_logger
from shared.postgres import Pool, Record, connection, transaction

log = get_logger(__name__)

_OVERDUE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Removal:
    """The files that were removed, by id, and why others were not, by name."""

    removed: Sequence[UUID]
    refused: Mapping[str, str]

    def require_complete(self) -> None:
        """Raise FilesNotDeleted if a file was not removed; what was removed must have been committed by then."""
        if self.refused:
            raise FilesNotDeleted(self.refused)


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
                await self.measure()
            except TransientError as error:
                log.warning("retrying removal of expired files", error=str(error))
                removed = 0
            if not removed:
                await wait_for_first(stopping, seconds=self._interval.total_seconds())

    async def remove_expired(self, limit: int = 200) -> int:
        """Remove at most `limit` expired files; return how many.

        One that the store refuses to delete is noted and tried again later, and the others are removed. Raises
        PostgresUnavailable or StoreUnavailable.
        """
        now = self._clock.now()
        await LinkStore(self._pool).drop_expired(now)
        async with connection(self._pool) as database:
            # Links are all that requests with an Idempotency-Key create here; an expired one is not repeated.
            await drop_responses(database, now - LINK_LIFETIME)
        async with transaction(self._pool) as database:
            rows = await self._artifacts.lock_expired(database, now=now, kept=self._kept, limit=limit)
            # What fails alone may be one file for ever, and would stop the others behind it.
            removed, faults = await self._delete_objects(rows, outage_from=2)
            await self._artifacts.save_faults(database, rows, faults, at=now)
            events = await self._artifacts.mark_removed(database, removed, at=now, by=None)
            await outbox.write(database, events, source=SOURCE, at=now)
        FILES_REMOVED.labels("expired").inc(len(removed))
        return len(removed)

    async def delete(self, work: UnitOfWork, artifact_ids: Sequence[UUID]) -> Removal:
        """Remove files for a user, each by itself; those that were removed before are ignored.

        Raises PostgresUnavailable or StoreUnavailable.
        """
        rows = await self._artifacts.lock(work.connection, work.identity.tenant_id, artifact_ids)
        removed, faults = await self._delete_objects(rows, outage_from=1)
        await self._artifacts.save_faults(work.connection, rows, faults, at=work.at)
        removed_by = work.identity.user_id
        work.emit(*await self._artifacts.mark_removed(work.connection, removed, at=work.at, by=removed_by))
        FILES_REMOVED.labels("deleted").inc(len(removed))
        refused = {row["name"]: faults[row["object"]] for row in rows if row["object"] in faults}
        return Removal([row["artifact_id"] for row in removed], refused)

    async def measure(self) -> None:
        """Count files that should be gone, and those that the store refuses to delete. Raises PostgresUnavailable."""
        overdue_at = self._clock.now() - _OVERDUE
        FILES_OVERDUE.set(await self._artifacts.count_overdue(overdue_at, self._kept))
        FILES_REFUSED.set(await self._artifacts.count_refused())

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

    async def _delete_objects(self, rows: Sequence[Record], *, outage_from: int) -> tuple[list[Record], dict[str, str]]:
        """Return the rows of deleted objects, and why others are still there, by object."""
        faults = await self._objects.delete_all([row["object"] for row in rows], outage_from=outage_from)
        for row in rows:
            if row["object"] in faults:
                log.error("file not removed", artifact_id=str(row["artifact_id"]), reason=faults[row["object"]])
        FILE_REMOVAL_FAILURES.inc(len(faults))
        return [row for row in rows if row["object"] not in faults], faults
