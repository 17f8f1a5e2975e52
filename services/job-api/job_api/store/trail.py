"""The audit trail, for reading."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from job_api.store.database import SQL
from shared.postgres import Connection


@dataclass(frozen=True, slots=True)
class Entry:
    """Who changed what, from what to what; `actor_id` None is the system itself."""

    audit_id: int
    at: datetime
    actor_id: UUID | None
    actor_name: str
    action: str
    object_kind: str
    object_id: UUID
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries to read; `before` is the number that the page before ended with."""

    limit: int
    before: int | None = None
    action: str | None = None
    object_kind: str | None = None
    object_id: UUID | None = None
    actor_id: UUID | None = None


async def page(database: Connection, tenant_id: UUID, wanted: Wanted) -> list[Entry]:
    """Return a tenant's entries, newest first."""
    rows = await database.fetch(
        SQL["audit"],
        tenant_id,
        wanted.before,
        wanted.action,
        wanted.object_kind,
        wanted.object_id,
        wanted.actor_id,
        wanted.limit,
    )
    return [Entry(**row) for row in rows]
