"""Reading the audit trail (rule U5)."""

from job_api.store import Database, audit
from job_api.store.audit import AuditEntry
from shared.auth import Identity
from shared.http.lists import Page, PageRequest


class AuditService:
    """The audit trail of the caller's tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_entries(self, identity: Identity, request: PageRequest) -> Page[AuditEntry]:
        """Return a page of audit entries."""
        async with self._database.read(identity.tenant_id) as database:
            return await audit.list_entries(database, identity.tenant_id, request)
