"""Jobs and what is shown of their runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from job_api.domain import Context, Job, Recipient
from job_api.errors import NotFound
from job_api.store.database import SQL
from shared.events import JobSettings, Schedule
from shared.events.values import RunState
from shared.postgres import Connection, Record
from shared.timetable import find_next_slot

SETTINGS = TypeAdapter(JobSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A job's latest run: progress from 0 to 1, seconds left as a median with its 10 % to 90 % band."""

    run_id: UUID
    state: RunState
    slot: datetime
    started_at: datetime | None
    ended_at: datetime | None
    message: str | None
    progress: float | None
    eta_seconds: float | None
    eta_low: float | None
    eta_high: float | None
    estimated_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as it is shown: with its latest run, the last instant at which one ran, and the next slot."""

    job: Job
    latest: RunSummary | None
    last_run_at: datetime | None
    next_run_at: datetime | None

    @property
    def busy(self) -> UUID | None:
        """Return the latest run while it is queued or running."""
        return self.latest.run_id if self.latest is not None and self.latest.ended_at is None else None


async def context(database: Connection, tenant_id: UUID, now: datetime) -> Context:
    """Return what the rules of drafts must know of a tenant."""
    rows = await database.fetch(SQL["context"], tenant_id)
    if not rows:
        raise NotFound("tenant")
    return Context(
        now=now,
        source_tenant=rows[0]["source_tenant"],
        media_types=tuple(rows[0]["media_types"]),
        recipients={
            row["certificate_id"]: Recipient(
                name=row["name"],
                active=row["state"] == "active",
                not_before=row["not_before"],
                not_after=row["not_after"],
            )
            for row in rows
            if row["certificate_id"] is not None
        },
    )


async def insert(database: Connection, job: Job) -> None:
    """Keep a new job."""
    await database.execute(SQL["insert_job"], *_columns(job))


async def update(database: Connection, job: Job) -> None:
    """Keep a job's next version; its row must be locked."""
    await database.execute(SQL["update_job"], *_columns(job))


async def delete(database: Connection, job: Job) -> None:
    """Remove a job; its row must be locked."""
    await database.execute(SQL["delete_job"], job.tenant_id, job.job_id)


async def locked(database: Connection, tenant_id: UUID, job_id: UUID) -> Job:
    """Lock a job until the transaction ends. Raises NotFound."""
    row = await database.fetchrow(SQL["lock_job"], tenant_id, job_id)
    if row is None:
        raise NotFound("job")
    return to_job(row)


async def busy(database: Connection, job: Job) -> UUID | None:
    """Return the job's run that is queued or running, if there is one."""
    found: UUID | None = await database.fetchval(SQL["busy_run"], job.tenant_id, job.job_id)
    return found


async def view(database: Connection, tenant_id: UUID, job_id: UUID) -> JobView:
    """Return a job as it is shown. Raises NotFound."""
    row = await database.fetchrow(SQL["job"], tenant_id, job_id)
    if row is None:
        raise NotFound("job")
    return to_view(to_job(row), row)


def to_view(job: Job, row: Record) -> JobView:
    """Return a job as it is shown, with what a row of the queries `job`, `job_at_once` and `jobs` says beside it."""
    return JobView(job, run_of(row), row["last_run_at"], row["next_run_at"])


def run_of(row: Record) -> RunSummary | None:
    """Return the latest run in a row of the queries `job`, `job_at_once` and `jobs`."""
    if row["run_state"] is None:
        return None
    return RunSummary(
        run_id=row["latest_run"],
        state=row["run_state"],
        slot=row["run_slot"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        message=row["message"],
        progress=row["progress"],
        eta_seconds=row["eta_seconds"],
        eta_low=row["eta_low"],
        eta_high=row["eta_high"],
        estimated_at=row["estimated_at"],
    )


def next_run(job: Job, now: datetime) -> datetime | None:
    """Return when an active job is due next."""
    return find_next_slot(job.schedule, now) if job.state == "active" else None


def _columns(job: Job) -> tuple[Any, ...]:
    return (
        job.job_id,
        job.tenant_id,
        job.version,
        job.state,
        job.state_reason,
        job.settings.title,
        job.description,
        job.settings.source,
        job.settings.type,
        SETTINGS.dump_python(job.settings, mode="json"),
        job.schedule.kind,
        job.schedule.start,
        job.schedule.immediately,
        job.schedule.every,
        job.catch_up,
        job.overlap,
        job.created_at,
        job.saved_at,
        next_run(job, job.saved_at),
    )


def to_job(row: Record) -> Job:
    """Return a row of the queries `lock_job`, `job`, `jobs` and `every_job` as a job."""
    return Job(
        job_id=row["job_id"],
        tenant_id=row["tenant_id"],
        version=row["version"],
        state=row["state"],
        state_reason=row["state_reason"],
        description=row["description"],
        settings=SETTINGS.validate_json(row["settings"]),
        schedule=Schedule(
            kind=row["schedule_kind"],
            start=row["schedule_start"],
            immediately=row["schedule_immediately"],
            every=row["schedule_every"],
        ),
        catch_up=row["catch_up"],
        overlap=row["overlap"],
        created_at=row["created_at"],
        saved_at=row["saved_at"],
    )
