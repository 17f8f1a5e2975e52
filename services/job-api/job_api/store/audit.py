"""The audit trail of all services: reading it, and adding the entries of other services.

Units of work add the entries of this service.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from job_api.store.database import SQL, select_fields
from job_api.store.lists import AUDIT
from shared.events import AuditRecorded
from shared.http.lists import Page, PageRequest
from shared.postgres import Connection


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what in which service, before and after; `actor_id` is None for the system itself."""

    audit_id: int
    at: datetime
    service: str
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


@dataclass(frozen=True, slots=True)
class RunActors:
    """Who requested a run, and who cancelled it: names; None for nobody, or while the trail does not know it yet."""

    requested_by: str | None
    cancelled_by: str | None


async def find_run_actors(database: Connection, tenant_id: UUID, run_id: UUID, *, job_id: UUID) -> RunActors:
    """Return who requested and who cancelled a run of a job; of several who cancelled it, the first."""
    names = {
        row["action"]: row["actor_name"] for row in await database.fetch(SQL["run_actors"], tenant_id, run_id, job_id)
    }
    return RunActors(names.get("job.run"), names.get("run.cancel"))


async def insert(database: Connection, event: AuditRecorded) -> None:
    """Add an entry of another service, unless it was added before or its tenant has been erased."""
    statement = SQL.bind(
        "insert_audit_entry",
        tenant_id=event.tenant_id,
        at=event.at,
        actor_id=event.actor_id,
        actor_name=event.actor_name,
        action=event.action,
        object_kind=event.object_kind,
        object_id=event.object_id,
        before=event.before,
        after=event.after,
        service=event.service,
        event_id=event.audit_id,
    )
    await database.execute(*statement)
