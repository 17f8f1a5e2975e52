"""Jobs as they are read, with their versions cached: a version never changes, so only new ones are read whole."""

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from cachetools import FIFOCache

from job_api.domain import Job
from job_api.errors import NotFound
from job_api.store.database import SQL
from job_api.store.jobs import JobView, to_job, to_view
from job_api.store.lists import JOBS
from shared.http.lists import Page, PageRequest
from shared.postgres import Connection, Record

_MAX_JOBS = 20_000


class JobCache:
    """Reads jobs through a cache. Each row names its version; a cached job of another version is not used.

    First in, first out: its lookups cost less than half of those of an LRU cache, and a page makes fifty.
    """

    def __init__(self) -> None:
        self._jobs: FIFOCache[UUID, Job] = FIFOCache(_MAX_JOBS)

    async def get_view(self, database: Connection, tenant_id: UUID, job_id: UUID) -> JobView:
        """Return a job with its latest run, over a connection without a scope. Raises NotFound."""
        row = await database.fetchrow(SQL["job_in_scope"], tenant_id, job_id)
        job = (await self._load(database, tenant_id, [row])).get(job_id) if row is not None else None
        if row is None or job is None:
            raise NotFound("job")
        return to_view(job, row)

    async def list_views(self, database: Connection, tenant_id: UUID, request: PageRequest) -> Page[JobView]:
        """Return a page of a tenant's jobs, over a connection without a scope; its cost does not grow with depth."""
        page = await JOBS.fetch(database, tenant_id, request)
        jobs = await self._load(database, tenant_id, page.items)
        views = [to_view(job, row) for row in page.items if (job := jobs.get(row["job_id"])) is not None]
        return Page(views, page.after, page.before)

    async def _load(self, database: Connection, tenant_id: UUID, rows: Sequence[Record]) -> Mapping[UUID, Job]:
        """Return the jobs of some rows by id, without those deleted meanwhile."""
        found = {job.job_id: job for job in self._find_cached(rows)}
        if missing := [row["job_id"] for row in rows if row["job_id"] not in found]:
            for row in await database.fetch(SQL["jobs_by_id"], tenant_id, missing):
                found[row["job_id"]] = self._jobs[row["job_id"]] = to_job(row)
        return found

    def _find_cached(self, rows: Sequence[Record]) -> Iterator[Job]:
        for row in rows:
            job = self._jobs.get(row["job_id"])
            # The time of saving too: a database restored from a backup counts its versions anew.
            if job is not None and job.version == row["version"] and job.saved_at == row["saved_at"]:
                yield job
