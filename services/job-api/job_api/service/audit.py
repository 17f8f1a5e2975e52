"""The audit trail of all services (rule U5)."""

from collections.abc import Iterable
from uuid import UUID

from job_api.store import ALL_TENANTS, Database, audit
from job_api.store.audit import AuditEntry, RunActors
from job_api.store.database import set_scope
from shared.auth import Identity
from shared.events import AuditRecorded
from shared.http.lists import Page, PageRequest


class AuditService:
    """Reads the audit trail, and adds the entries that other services publish."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_entries(self, identity: Identity, request: PageRequest) -> Page[AuditEntry]:
        """Return a page of audit entries of the caller's tenant. Raises PostgresUnavailable."""
        async with self._database.read(identity.tenant_id) as database:
            return await audit.list_entries(database, identity.tenant_id, request)

    async def find_run_actors(self, identity: Identity, run_id: UUID, job_id: UUID) -> RunActors:
        """Return who requested and who cancelled a run. Raises PostgresUnavailable."""
        async with self._database.read(identity.tenant_id) as database:
            return await audit.find_run_actors(database, identity.tenant_id, run_id, job_id=job_id)

    async def record(self, events: Iterable[AuditRecorded]) -> None:
        """Add entries of other services in one transaction, each once. Raises PostgresUnavailable."""
        async with self._database.transaction(ALL_TENANTS) as database:
            for event in events:
                await set_scope(database, event.tenant_id)
                await audit.insert(database, event)
