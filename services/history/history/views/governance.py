"""Retention and the audit trail, for administrators."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.postgres import Record


class Retention(BaseModel):
    """How long a tenant's files are kept."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"days": 30}]})

    days: int = Field(ge=1, le=30)


class HistoryAuditEntry(BaseModel):
    """An action of a user."""

    id: int
    at: datetime
    user_id: UUID
    name: str = Field(description="the user's name at the time")
    action: str = Field(examples=["download"])
    object_id: UUID = Field(description="the run, the artifact or the tenant that it was about")
    details: dict[str, Any]


class HistoryAuditPage(BaseModel):
    """A page of the audit trail, newest first; `next` is the cursor of the following page, null on the last."""

    items: list[HistoryAuditEntry]
    next: str | None


def to_audit_entry(row: Record) -> HistoryAuditEntry:
    """Return an entry of the audit trail."""
    return HistoryAuditEntry(**{name: row[name] for name in HistoryAuditEntry.model_fields})
