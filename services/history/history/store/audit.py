"""The audit trail of history: reads of one tenant. Entries are written by the unit of work."""

from uuid import UUID

from history.store.lists import AUDIT
from shared.http.lists import Page, PageRequest
from shared.postgres import Pool, Record, connection


class AuditReader:
    """Reads the audit trail."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_page(self, tenant_id: UUID, request: PageRequest) -> Page[Record]:
        """Return a page of a tenant's audit trail. Raises PostgresUnavailable."""
        async with connection(self._pool) as database:
            return await AUDIT.fetch(database, tenant_id, request)
