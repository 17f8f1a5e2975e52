"""What admission reads and writes: jobs, runs, cancel requests and certificates. All writes are idempotent."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from exporter.domain.admission import Admission, JobStatus
from exporter.store.statements import EVENT_SOURCE, JOB_SETTINGS, SQL
from shared import outbox
from shared.events import CertificateDeleted, CertificateSaved, Event, SlotTriggered
from shared.postgres import Connection, Pool, transaction


class AdmissionStore:
    """The tables of one transaction of admission; every method raises PostgresUnavailable."""

    def __init__(self, database: Connection) -> None:
        self._database = database

    @classmethod
    @asynccontextmanager
    async def begin(cls, pool: Pool) -> AsyncIterator["AdmissionStore"]:
        """Begin a transaction."""
        async with transaction(pool) as database:
            yield cls(database)

    async def read_clock(self) -> datetime:
        """Return the database's clock."""
        instant: datetime = await self._database.fetchval("SELECT clock_timestamp()")
        return instant

    async def lock_jobs(self, job_ids: Sequence[UUID]) -> None:
        """Create the jobs' rows where they are missing, and lock them in the given order."""
        await self._database.execute(SQL["insert_job"], job_ids)
        for job_id in job_ids:
            await self._database.fetchrow(SQL["lock_job"], job_id)

    async def read_job(self, job_id: UUID) -> JobStatus | None:
        """Return a job's status, or None for an unknown job."""
        row = await self._database.fetchrow(SQL["lock_job"], job_id)
        return None if row is None else JobStatus(deleted=row["deleted"], queued=row["queued"], running=row["running"])

    async def insert_run(self, trigger: SlotTriggered, admission: Admission, now: datetime) -> bool:
        """Save a trigger's run; return False when it was saved before."""
        inserted = await self._database.fetchval(
            *SQL.bind(
                "insert_run",
                run_id=trigger.run_id,
                job_id=trigger.job_id,
                tenant_id=trigger.tenant_id,
                slot=trigger.slot,
                settings=JOB_SETTINGS.dump_json(trigger.settings).decode(),
                state=admission,
                now=now,
                cancel_reason="job-deleted" if admission == "cancelled" else None,
                cause=trigger.cause,
            )
        )
        return inserted is not None

    async def apply_early_cancel(self, run_id: UUID) -> None:
        """Request the cancellation of a run whose cancel command arrived before its trigger, if there was one."""
        early = await self._database.fetchrow(SQL["take_early_cancel"], run_id)
        if early is not None:
            await self._database.execute(SQL["request_cancel"], [run_id], "requested", early["requested_by"])

    async def request_cancel(self, run_id: UUID, requested_by: UUID | None) -> None:
        """Request the cancellation of a run, or keep the request until the run is admitted."""
        if await self._database.fetchval(SQL["run_exists"], run_id):
            await self._database.execute(SQL["request_cancel"], [run_id], "requested", requested_by)
        else:
            await self._database.execute(SQL["insert_early_cancel"], run_id, requested_by)

    async def delete_job(self, job_id: UUID) -> None:
        """Mark a job as deleted, and request the cancellation of its open runs."""
        open_runs = [row["run_id"] for row in await self._database.fetch(SQL["delete_job"], job_id)]
        await self._database.execute(SQL["request_cancel"], open_runs, "job-deleted", None)

    async def save_certificate(self, saved: CertificateSaved) -> None:
        """Save a certificate unless a newer version is already saved."""
        await self._database.execute(
            *SQL.bind(
                "save_certificate",
                certificate_id=saved.certificate_id,
                tenant_id=saved.tenant_id,
                version=saved.version,
                active=saved.state == "active",
                pem=saved.pem,
            )
        )

    async def delete_certificate(self, deleted: CertificateDeleted) -> None:
        """Let a certificate be used no more, and no older version of it come back."""
        await self._database.execute(
            *SQL.bind(
                "save_certificate",
                certificate_id=deleted.certificate_id,
                tenant_id=deleted.tenant_id,
                version=deleted.version,
                active=False,
                pem="",
            )
        )

    async def forget_certificate(self, certificate_id: UUID) -> None:
        """Remove a certificate that was deleted long ago."""
        await self._database.execute(SQL["forget_certificate"], certificate_id)

    async def write_events(self, events: Iterable[Event], at: datetime) -> None:
        """Write events to the outbox."""
        await outbox.write(self._database, events, source=EVENT_SOURCE, at=at)
