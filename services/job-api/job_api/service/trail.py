"""Reading the audit trail (U5)."""

from job_api.store import Database, trail
from job_api.store.listing import Page, Wish
from job_api.store.trail import Entry
from shared.auth import Identity


class Trail:
    """The audit trail of the tenant of whoever asks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, who: Identity, wish: Wish) -> Page[Entry]:
        """Return a page of entries."""
        async with self._database.looking(who.tenant_id) as database:
            return await trail.page(database, who.tenant_id, wish)
