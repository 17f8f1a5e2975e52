"""`sluice.audit`: actions of users in services other than job-api, which keeps the audit trail of all services."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecorded:
    """A user acted on something; one entry of the audit trail (rule U5)."""

    audit_id: UUID
    """The entry. An entry that is recorded already is not recorded again."""
    tenant_id: UUID
    """The tenant in which the user acted; also the message's key."""
    service: str
    """The service in which the user acted, for example `history`."""
    at: datetime
    """When the user acted."""
    actor_id: UUID | None
    """The user; null when the system acted."""
    actor_name: str
    """The user's name, or the API key's."""
    action: str
    """What was done: `<kind>.<verb>`, for example `artifact.download`."""
    object_kind: str
    """What kind of object it was done to: the part of `action` before the dot."""
    object_id: UUID
    """The object that it was done to."""
    before: dict[str, str | int | None] | None
    """The changed values before the action; null when nothing changed or there was nothing before."""
    after: dict[str, str | int | None] | None
    """The changed values after the action, or its details; null when there are none."""
