"""How many jobs there are, kept for two seconds: counting reads all jobs of a tenant, and lists are requested often."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from cachetools import TTLCache

from job_api.store.database import SQL, Database
from job_api.store.lists import JOBS
from shared.http.cursors import Position
from shared.http.lists import PageRequest

KEPT_SECONDS = 2.0
_MAX_TENANTS = 1000
Counted = TypeVar("Counted")


@dataclass(frozen=True, slots=True)
class ListPosition:
    """Where a page stands in its list: how many rows match, and how many of them stand before the page."""

    total: int
    before: int


class JobCounter:
    """Counts jobs. A change by this process is counted at once, one by another process within two seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: TTLCache[UUID, dict[object, Any]] = TTLCache(_MAX_TENANTS, KEPT_SECONDS)

    def forget(self, tenant_id: UUID) -> None:
        """Count a tenant's jobs anew next time."""
        self._known.pop(tenant_id, None)

    async def count_by_state(self, tenant_id: UUID) -> Mapping[str, int]:
        """Return how many jobs a tenant has: all, running, queued, failed, suspended."""

        async def count() -> dict[str, int]:
            async with self._database.read(tenant_id) as database:
                return dict(await database.fetchrow(SQL["count_jobs_by_state"], tenant_id) or {})

        return await self._recall(tenant_id, "states", count)

    async def locate(self, tenant_id: UUID, request: PageRequest, first: Position | None) -> ListPosition:
        """Return where a page stands whose first row is at `first`; None for the first page."""

        async def count() -> ListPosition:
            async with self._database.read(tenant_id) as database:
                return ListPosition(*await JOBS.count(database, tenant_id, request, first=first))

        key = (tuple(sorted(request.filters.items())), request.sort, request.descending, first)
        return await self._recall(tenant_id, key, count)

    async def _recall(self, tenant_id: UUID, key: object, count: Callable[[], Awaitable[Counted]]) -> Counted:
        known = self._known.get(tenant_id)
        if known is None:
            known = self._known[tenant_id] = {}
        if key not in known:
            known[key] = await count()
        counted: Counted = known[key]
        return counted
