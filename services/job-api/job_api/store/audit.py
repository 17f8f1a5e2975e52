"""Reading the audit trail; units of work write it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from job_api.store.database import select_fields
from job_api.store.lists import AUDIT
from shared.http.lists import Page, PageRequest
from shared.postgres import Connection


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who changed what, before and after; `actor_id` is None for the system itself."""

    audit_id: int
    at: datetime
    actor_id: UUID | None
    actor_name: str
    action: str
    object_kind: str
    object_id: UUID
    before: dict[str, Any] | None
    after: dict[str, Any] | None


async def list_entries(database: Connection, tenant_id: UUID, request: PageRequest) -> Page[AuditEntry]:
    """Return a page of a tenant's audit entries."""
    page = await AUDIT.fetch(database, tenant_id, request)
    return page.map(lambda row: AuditEntry(**select_fields(row, AuditEntry)))
