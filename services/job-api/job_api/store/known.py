"""Versions of jobs by heart: one never changes, so only what is new is read whole."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from job_api.domain import Job
from job_api.errors import NotFound
from job_api.store.database import SQL
from job_api.store.jobs import JobView, to_job, to_view
from shared.postgres import Connection, Record

_MOST = 20_000


class KnownJobs:
    """The jobs that were looked at last. A row says which version it is of: what is known of another is not used."""

    def __init__(self) -> None:
        self._jobs: dict[UUID, Job] = {}

    async def view(self, database: Connection, tenant_id: UUID, job_id: UUID) -> JobView:
        """Return a job as it is shown, over a connection that has no scope yet. Raises NotFound."""
        row = await database.fetchrow(SQL["job_at_once"], tenant_id, job_id)
        job = (await self.of(database, tenant_id, [row])).get(job_id) if row is not None else None
        if row is None or job is None:
            raise NotFound("job")
        return to_view(job, row)

    async def of(self, database: Connection, tenant_id: UUID, rows: Sequence[Record]) -> Mapping[UUID, Job]:
        """Return the jobs that rows of a tenant are of; one that was deleted meanwhile is not there."""
        found = {job.job_id: job for job in self._recalled(rows)}
        if missing := [row["job_id"] for row in rows if row["job_id"] not in found]:
            if len(self._jobs) + len(missing) > _MOST:
                self._jobs.clear()
            for row in await database.fetch(SQL["versions"], tenant_id, missing):
                found[row["job_id"]] = self._jobs[row["job_id"]] = to_job(row)
        return found

    def _recalled(self, rows: Sequence[Record]) -> Iterable[Job]:
        for row in rows:
            job = self._jobs.get(row["job_id"])
            # The instant too: a database that was set back to a backup counts its versions anew.
            if job is not None and job.version == row["version"] and job.saved_at == row["saved_at"]:
                yield job
