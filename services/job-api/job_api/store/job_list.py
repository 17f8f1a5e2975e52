"""The list of jobs: a page of it costs the same at any depth, and reads whole only versions that are new."""

from uuid import UUID

from job_api.store.jobs import JobView, to_view
from job_api.store.known import KnownJobs
from job_api.store.listing import Page, Wish
from job_api.store.lists import JOBS
from shared.postgres import Connection


async def page(database: Connection, tenant_id: UUID, wish: Wish, known: KnownJobs) -> Page[JobView]:
    """Return a page of a tenant's jobs, over a connection that has no scope yet."""
    found = await JOBS.page(database, tenant_id, wish)
    jobs = await known.of(database, tenant_id, found.items)
    views = [to_view(job, row) for row in found.items if (job := jobs.get(row["job_id"])) is not None]
    return Page(views, found.after)
