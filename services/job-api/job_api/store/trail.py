"""The audit trail, for reading."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from job_api.store.database import taken
from job_api.store.listing import Page, Wish
from job_api.store.lists import AUDIT
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


async def page(database: Connection, tenant_id: UUID, wish: Wish) -> Page[Entry]:
    """Return a page of a tenant's entries."""
    return (await AUDIT.page(database, tenant_id, wish)).of(lambda row: Entry(**taken(row, Entry)))
