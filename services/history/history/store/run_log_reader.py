"""Reads of the run log: of one tenant, except for the live updates of all (rule U3)."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from history.store import SQL
from history.store.lists import RUN_COLUMNS, RUNS
from shared.http.lists import Page, PageRequest
from shared.postgres import Pool, Record, connection

_FIND = SQL["find_run"].replace("{columns}", RUN_COLUMNS)
_CHANGED = SQL["changed_runs"].replace("{columns}", RUN_COLUMNS)


class RunLogReader:
    """Reads runs, their parts, timelines, estimates and scores. Every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_page(self, tenant_id: UUID, request: PageRequest) -> Page[Record]:
        """Return a page of a tenant's runs."""
        async with connection(self._pool) as database:
            return await RUNS.fetch(database, tenant_id, request)

    async def count(self, tenant_id: UUID, filters: Mapping[str, Any]) -> list[Record]:
        """Return the number of the latest 100,000 runs by state, type and source together."""
        values: list[Any] = [tenant_id]
        statement = SQL["count_runs"].format(conditions=RUNS.where(filters, values))
        async with connection(self._pool) as database:
            return await database.fetch(statement, *values)

    async def find(self, tenant_id: UUID, run_id: UUID) -> Record | None:
        """Return a run."""
        async with connection(self._pool) as database:
            return await database.fetchrow(_FIND, tenant_id, run_id)

    async def list_parts(self, run_id: UUID) -> list[Record]:
        """Return a run's finished parts."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["list_parts"], run_id)

    async def list_entries(self, run_id: UUID) -> list[Record]:
        """Return a run's timeline."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["list_entries"], run_id)

    async def find_course(self, run_id: UUID) -> Record | None:
        """Return the progress of a run over time and the estimates shown: from its score, or while it runs, so far."""
        async with connection(self._pool) as database:
            return await database.fetchrow(SQL["course_of"], run_id)

    async def is_job_deleted(self, job_id: UUID) -> bool:
        """Return whether a job is known to be deleted."""
        async with connection(self._pool) as database:
            return bool(await database.fetchval(SQL["job_deleted"], job_id))

    async def list_scores(self, tenant_id: UUID, job_id: UUID) -> list[Record]:
        """Return the scores of the estimates of a job's latest runs."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["list_scores"], tenant_id, job_id)

    async def list_changed(self, after: int, limit: int, tenant_id: UUID | None = None) -> list[Record]:
        """Return runs that changed after a version, in the order of their changes; of all tenants without one."""
        async with connection(self._pool) as database:
            return await database.fetch(_CHANGED, after, tenant_id, limit)

    async def last_version(self) -> int:
        """Return the newest version."""
        async with connection(self._pool) as database:
            return int(await database.fetchval(SQL["last_version"]))
