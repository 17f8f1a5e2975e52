"""`/api/v1/audit`: who did what, in all services (rule U5)."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field

from job_api.api.services import Audit
from job_api.queries import AuditQuery
from job_api.roles import Admin
from job_api.store import audit as store
from shared.http.openapi import json_response
from shared.http.problems import error_responses
from shared.http.routing import create_router

_ENTRY: dict[str, Any] = {
    "id": 4711,
    "created_at": "2026-11-24T10:00:00Z",
    "service": "job-api",
    "actor_id": "7b0d1f0e-0a43-4a10-9f58-3b1b7b9f1a22",
    "actor": "ana",
    "action": "certificate.retire",
    "object_kind": "certificate",
    "object_id": "0d6f4f0c-6c2e-4a55-9d43-4f1b5d6b7a11",
    "before": None,
    "after": {"name": "Data protection officer 2027", "state": "retired"},
}
router = create_router("/api/v1/audit", "access")


class AuditEntry(BaseModel):
    """One action: who took it, in which service, and the object before and after."""

    id: int
    created_at: datetime
    service: str = Field(description="where it was done: `job-api` or `history`")
    actor_id: UUID | None = Field(description="null: the system itself")
    actor: str = Field(description="name of the user or API key, or `system`")
    action: str = Field(description="`<kind>.<verb>`, as in `job.suspend`")
    object_kind: str
    object_id: UUID
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @classmethod
    def from_entry(cls, entry: store.AuditEntry) -> "AuditEntry":
        """Return an audit entry as the API shows it."""
        return cls(
            id=entry.audit_id,
            created_at=entry.at,
            service=entry.service,
            actor_id=entry.actor_id,
            actor=entry.actor_name,
            action=entry.action,
            object_kind=entry.object_kind,
            object_id=entry.object_id,
            before=entry.before,
            after=entry.after,
        )


class AuditPage(BaseModel):
    """A page of the audit trail."""

    items: list[AuditEntry]
    next: str | None = Field(description="the cursor of the next page; null on the last")


@router.get(
    "",
    operation_id="listAudit",
    summary="List audit entries",
    responses=json_response({"items": [_ENTRY], "next": None}) | error_responses(),
)
async def list_audit(identity: Admin, query: Annotated[AuditQuery, Query()], audit: Audit) -> AuditPage:
    """Return a page of the audit trail of all services, newest first by default.

    What is done to runs and files appears within seconds.
    """
    page = (await audit.list_entries(identity, query.to_page_request())).map(AuditEntry.from_entry)
    return AuditPage(items=page.items, next=query.next_cursor(page))
