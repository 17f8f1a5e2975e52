"""`/api/v1/audit`: who changed what (U5)."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from job_api.api.problems import refused
from job_api.api.views import UtcInstant
from job_api.list_query import SORT_WORDS, ListQuery, Text, When
from job_api.roles import Admin
from job_api.service import Trail
from job_api.store.lists import AUDIT
from job_api.store.trail import Entry

_EXAMPLE: dict[str, Any] = {
    "id": 4711,
    "at": "2026-11-24T10:00:00Z",
    "actor_id": "7b0d1f0e-0a43-4a10-9f58-3b1b7b9f1a22",
    "actor": "ana",
    "action": "certificate.retire",
    "object_kind": "certificate",
    "object_id": "0d6f4f0c-6c2e-4a55-9d43-4f1b5d6b7a11",
    "before": None,
    "after": {"name": "Data protection officer 2027", "state": "retired"},
}
Sort = Literal["at", "actor", "action", "kind", "object_id"]
Descending = Literal["-at", "-actor", "-action", "-kind", "-object_id"]
Word = Annotated[str | None, Field(max_length=60, pattern=r"^[a-z.-]+$")]


class EntryOut(BaseModel):
    """One change: who, what, before and after; `actor_id` null is the system itself."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: int
    at: UtcInstant
    actor_id: UUID | None
    actor: str
    action: str = Field(description="`<kind>.<verb>`")
    object_kind: str
    object_id: UUID
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @classmethod
    def of(cls, entry: Entry) -> "EntryOut":
        """Return an entry as it is answered."""
        return cls(
            id=entry.audit_id,
            at=entry.at,
            actor_id=entry.actor_id,
            actor=entry.actor_name,
            action=entry.action,
            object_kind=entry.object_kind,
            object_id=entry.object_id,
            before=entry.before,
            after=entry.after,
        )


class AuditPage(BaseModel):
    """A page of the audit trail; `next` is the cursor of the one after, null on the last."""

    items: list[EntryOut]
    next: str | None


class AuditQuery(ListQuery):
    """Which entries to list, and how."""

    listing: ClassVar = AUDIT

    sort: Sort | Descending = Field("-at", description=SORT_WORDS)
    action: Word = Field(None, description="as in `job.suspend`")
    kind: Word = Field(None, description="job, certificate, user, api-key, session, tenant")
    object_id: UUID | None = Field(None, description="what was changed")
    actor_id: UUID | None = Field(None, description="who changed it")
    actor: Text | None = Field(None, description="in the name of who changed it")
    search: Text | None = Field(None, description="in what was before and what is after, as JSON")
    at_from: When | None = Field(None, description="changed at this instant or later")
    at_until: When | None = Field(None, description="changed before this instant")


def audit_routes(trail: Trail) -> APIRouter:
    """Return the routes of the audit trail."""
    routes = APIRouter(prefix="/api/v1/audit", tags=["access"])

    @routes.get("", operation_id="listAudit", summary="List who changed what, a page at a time", responses=refused())
    async def index(who: Admin, query: Annotated[AuditQuery, Query()]) -> AuditPage:
        """Return a page of the audit trail, newest first unless sorted otherwise: every change, before and after."""
        page = await trail.page(who, query.to_wish())
        return AuditPage(items=[EntryOut.of(each) for each in page.items], next=query.next_of(page))

    return routes
