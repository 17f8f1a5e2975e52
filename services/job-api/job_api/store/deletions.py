"""Deletions of what compacted topics hold: an explicit record that stays for 90 days, then a tombstone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from job_api.store.database import SERVICE, SQL
from shared import outbox
from shared.events import (
    CertificateDeleted,
    CertificateTombstone,
    DestinationDeleted,
    DestinationTombstone,
    Event,
    IdentityDeleted,
    IdentityTombstone,
    JobDeleted,
    JobTombstone,
)
from shared.postgres import Connection, Record

DeletedKind = Literal["job", "certificate", "identity", "destination"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """One object that was deleted; `version` is higher than every version that it had."""

    object_id: UUID
    kind: DeletedKind
    tenant_id: UUID
    version: int
    deleted_at: datetime

    def to_event(self) -> Event:
        """Return the event that announces the deletion to the other services."""
        about = {"tenant_id": self.tenant_id, "version": self.version, "deleted_at": self.deleted_at}
        match self.kind:
            case "job":
                return JobDeleted(job_id=self.object_id, **about)  # type: ignore[arg-type]
            case "certificate":
                return CertificateDeleted(certificate_id=self.object_id, **about)  # type: ignore[arg-type]
            case "identity":
                return IdentityDeleted(identity_id=self.object_id, **about)  # type: ignore[arg-type]
            case "destination":
                return DestinationDeleted(destination_id=self.object_id, **about)  # type: ignore[arg-type]

    def to_tombstone(self) -> Event:
        """Return the event after which compaction removes the object's key."""
        match self.kind:
            case "job":
                return JobTombstone(job_id=self.object_id)
            case "certificate":
                return CertificateTombstone(certificate_id=self.object_id)
            case "identity":
                return IdentityTombstone(identity_id=self.object_id)
            case "destination":
                return DestinationTombstone(destination_id=self.object_id)


def to_deletion(row: Record) -> Deletion:
    """Return the deletion in a row of the queries about deletions."""
    return Deletion(**row)


async def has_job(database: Connection, tenant_id: UUID, job_id: UUID) -> bool:
    """Return whether a tenant had a job that it has deleted, and that is not forgotten yet."""
    return bool(await database.fetchval(SQL["job_was_deleted"], tenant_id, job_id))


async def announce(database: Connection, *, now: datetime, limit: int) -> int:
    """Write the events of at most `limit` deletions that nothing has announced; return their number."""
    found = [to_deletion(row) for row in await database.fetch(SQL["unannounced_deletions"], limit)]
    await _write(database, found, Deletion.to_event, now)
    await database.execute(SQL["announce_deletions"], [each.object_id for each in found], now)
    return len(found)


async def write_tombstones(database: Connection, *, now: datetime, before: datetime, limit: int) -> int:
    """Write tombstones for at most `limit` deletions announced before an instant, forget them, return their number."""
    found = [to_deletion(row) for row in await database.fetch(SQL["old_deletions"], before, limit)]
    await _write(database, found, Deletion.to_tombstone, now)
    await database.execute(SQL["forget_deletions"], [each.object_id for each in found])
    return len(found)


async def _write(
    database: Connection, deletions: Sequence[Deletion], to_event: Callable[[Deletion], Event], now: datetime
) -> None:
    await outbox.write(database, [to_event(each) for each in deletions], source=SERVICE, at=now)
