"""The table of retention: how many days a tenant's files are kept, where the tenant has chosen."""

from uuid import UUID

from history.store import SQL
from shared.postgres import Connection, Pool, connection


class RetentionStore:
    """Reads and writes the tenants' retention. Every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find_days(self, tenant_id: UUID) -> int | None:
        """Return how many days a tenant's files are kept; None where it has not chosen."""
        async with connection(self._pool) as database:
            days: int | None = await database.fetchval(SQL["retention_of"], tenant_id)
        return days

    async def set_days(self, database: Connection, tenant_id: UUID, days: int) -> None:
        """Set how many days a tenant's files are kept, in the connection's transaction."""
        await database.execute(SQL["set_retention"], tenant_id, days)
