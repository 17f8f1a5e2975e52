"""Which jobs encrypt for which certificates, and when a certificate was last used (C2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from job_api.domain import Job
from job_api.store.database import SQL, select_fields
from job_api.store.jobs import to_job
from shared.events.runs import RunStarted
from shared.postgres import Connection

MAX_NAMED = 10


@dataclass(frozen=True, slots=True)
class CertificateUse:
    """How many jobs encrypt for a certificate, and when a run last did; jobs that have run once do not count."""

    jobs: int
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True)
class DependentJobs:
    """Jobs that have no other active recipient: how many there are, and the titles of the first."""

    count: int
    titles: tuple[str, ...]


async def find_uses(
    database: Connection, tenant_id: UUID, certificate_ids: Sequence[UUID]
) -> dict[UUID, CertificateUse]:
    """Return by whom each of some certificates is used."""
    rows = await database.fetch(SQL["certificate_uses"], tenant_id, certificate_ids)
    return {row["certificate_id"]: CertificateUse(**select_fields(row, CertificateUse)) for row in rows}


async def find_dependent_jobs(database: Connection, tenant_id: UUID, certificate_id: UUID) -> DependentJobs:
    """Return the jobs whose runs would fail without a certificate."""
    rows = await database.fetch(SQL["dependent_jobs"], tenant_id, certificate_id, MAX_NAMED)
    return DependentJobs(rows[0]["count"] if rows else 0, tuple(row["title"] for row in rows))


async def lock_jobs(database: Connection, tenant_id: UUID, certificate_id: UUID) -> list[Job]:
    """Return the repeated jobs that name a certificate, locked until the transaction ends."""
    return [to_job(row) for row in await database.fetch(SQL["lock_jobs_of_certificate"], tenant_id, certificate_id)]


async def record_use(database: Connection, event: RunStarted) -> None:
    """Record that a run encrypts for its recipients."""
    await database.execute(SQL["record_certificate_use"], event.tenant_id, list(event.recipients), event.at)
