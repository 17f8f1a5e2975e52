"""Jobs, and what is shown of their runs."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from job_api.domain import Draft, DraftContext, Job, TenantCertificate
from job_api.errors import NotFound
from job_api.store.database import SQL
from job_api.store.deletions import Deletion
from job_api.store.destinations import load_for_draft
from shared.events import JobSettings, Schedule
from shared.events.values import RunState
from shared.postgres import Connection, Record
from shared.timetable import find_next_slot

SETTINGS = TypeAdapter(JobSettings)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """The estimated time until a run ends, in seconds: a median, and the band from the 10 % to the 90 % quantile."""

    seconds: float
    low: float
    high: float
    estimated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A job's latest run; `progress` is from 0 to 1."""

    run_id: UUID
    state: RunState
    slot: datetime
    started_at: datetime | None
    ended_at: datetime | None
    message: str | None
    progress: float | None
    estimate: RunEstimate | None


@dataclass(frozen=True, slots=True)
class JobView:
    """A job with its latest run, the instant of its last run, and its next slot."""

    job: Job
    latest: RunSummary | None
    last_run_at: datetime | None
    next_run_at: datetime | None

    @property
    def run_in_progress(self) -> UUID | None:
        """The latest run while it is queued or running, else None."""
        return self.latest.run_id if self.latest is not None and self.latest.ended_at is None else None


async def get_context(database: Connection, tenant_id: UUID, now: datetime, *, draft: Draft) -> DraftContext:
    """Return what the rules of drafts need to know about a tenant and what a draft names. Raises NotFound."""
    rows = await database.fetch(SQL["draft_context"], tenant_id)
    if not rows:
        raise NotFound("tenant")
    return DraftContext(
        now=now,
        source_tenant=rows[0]["source_tenant"],
        media_types=tuple(rows[0]["media_types"]),
        certificates={
            row["certificate_id"]: TenantCertificate(
                name=row["name"],
                active=row["state"] == "active",
                not_before=row["not_before"],
                not_after=row["not_after"],
            )
            for row in rows
            if row["certificate_id"] is not None
        },
        destinations=await load_for_draft(
            database, tenant_id, draft.delivery.destinations if draft.delivery is not None else ()
        ),
    )


async def insert(database: Connection, job: Job) -> None:
    """Store a new job."""
    await database.execute(*SQL.bind("insert_job", **_to_columns(job)))


async def update(database: Connection, job: Job) -> None:
    """Store a job's next version; its row must be locked."""
    await database.execute(*SQL.bind("update_job", **_to_columns(job)))


async def delete(database: Connection, job: Job, *, at: datetime) -> Deletion:
    """Delete a job, whose row must be locked; return the deletion, which the caller announces."""
    await database.execute(SQL["delete_job"], job.tenant_id, job.job_id, at)
    return Deletion(object_id=job.job_id, kind="job", tenant_id=job.tenant_id, version=job.version + 1, deleted_at=at)


async def lock(database: Connection, tenant_id: UUID, job_id: UUID) -> Job:
    """Return a job, locked until the transaction ends. Raises NotFound."""
    row = await database.fetchrow(SQL["lock_job"], tenant_id, job_id)
    if row is None:
        raise NotFound("job")
    return to_job(row)


async def find_run_in_progress(database: Connection, job: Job) -> UUID | None:
    """Return the job's queued or running run, if any."""
    run_id: UUID | None = await database.fetchval(SQL["run_in_progress"], job.tenant_id, job.job_id)
    return run_id


async def get_view(database: Connection, tenant_id: UUID, job_id: UUID) -> JobView:
    """Return a job with its latest run. Raises NotFound."""
    row = await database.fetchrow(SQL["job"], tenant_id, job_id)
    if row is None:
        raise NotFound("job")
    return to_view(to_job(row), row)


def to_view(job: Job, row: Record) -> JobView:
    """Return a job with the facts about its runs from a row of the queries `job`, `job_in_scope` or `jobs`."""
    return JobView(job, _to_run(row), row["last_run_at"], row["next_run_at"])


def _to_run(row: Record) -> RunSummary | None:
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
        estimate=_to_estimate(row),
    )


def _to_estimate(row: Record) -> RunEstimate | None:
    seconds, low, high, at = row["eta_seconds"], row["eta_low"], row["eta_high"], row["estimated_at"]
    if seconds is None or low is None or high is None or at is None:
        return None
    return RunEstimate(seconds, low, high, at)


def find_next_run(job: Job, now: datetime) -> datetime | None:
    """Return the first slot of a job after `now`; None if the job is suspended or has no more slots."""
    return find_next_slot(job.schedule, now) if job.state == "active" else None


def find_first_run(job: Job) -> datetime | None:
    """Return the first slot of this version of a job, as the scheduler decides it: at or after its saving.

    A slot at which it starts immediately is not named, as it has passed when it is read.
    """
    return find_next_run(job, job.saved_at if job.schedule.immediately else job.saved_at - _MICROSECOND)


def _to_columns(job: Job) -> dict[str, Any]:
    return {
        "job_id": job.job_id,
        "tenant_id": job.tenant_id,
        "version": job.version,
        "state": job.state,
        "state_reason": job.state_reason,
        "title": job.settings.title,
        "description": job.description,
        "source": job.settings.source,
        "type": job.settings.type,
        "settings": SETTINGS.dump_python(job.settings, mode="json"),
        "schedule_kind": job.schedule.kind,
        "schedule_start": job.schedule.start,
        "schedule_immediately": job.schedule.immediately,
        "schedule_every": job.schedule.every,
        "catch_up": job.catch_up,
        "overlap": job.overlap,
        "created_at": job.created_at,
        "saved_at": job.saved_at,
        "next_run_at": find_first_run(job),
    }


def to_job(row: Record) -> Job:
    """Return the job in a row of the queries `lock_job`, `job`, `jobs_by_id` or `every_job`."""
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
