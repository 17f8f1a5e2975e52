"""A job and its versions."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from job_api.domain.drafts import Context, Draft, Settled, settled
from shared.events import JobSaved, JobSettings, Schedule
from shared.events.values import CatchUp, JobState, Overlap

StateReason = Literal["one-time", "user", "failures"]
FAILURES_MOST = 5
"""Failed runs in a row after which the system suspends a job (R8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as it stands; `version` rises by one with each change."""

    job_id: UUID
    tenant_id: UUID
    version: int
    state: JobState
    state_reason: StateReason | None
    description: str
    settings: JobSettings
    schedule: Schedule
    catch_up: CatchUp
    overlap: Overlap
    created_at: datetime
    saved_at: datetime

    def to_event(self) -> JobSaved:
        """Return what tells the other services of this version."""
        return JobSaved(
            job_id=self.job_id,
            tenant_id=self.tenant_id,
            version=self.version,
            state=self.state,
            state_reason=self.state_reason,
            description=self.description,
            settings=self.settings,
            schedule=self.schedule,
            catch_up=self.catch_up,
            overlap=self.overlap,
            saved_at=self.saved_at,
        )

    def suspended(self, reason: StateReason, now: datetime) -> "Job":
        """Return the next version, suspended."""
        return replace(self, version=self.version + 1, state="suspended", state_reason=reason, saved_at=now)

    def resumed(self, now: datetime) -> "Job":
        """Return the next version, active."""
        return replace(self, version=self.version + 1, state="active", state_reason=None, saved_at=now)


def created(draft: Draft, context: Context, *, job_id: UUID, tenant_id: UUID) -> Job:
    """Return the first version of a job. Raises Invalid or Refused.

    One that runs once and starts immediately is born suspended and never resumed (J6).
    """
    made = settled(draft, context)
    spent = made.schedule.kind == "once" and made.schedule.immediately
    return _of(
        made,
        Job(
            job_id=job_id,
            tenant_id=tenant_id,
            version=1,
            state="suspended" if spent else "active",
            state_reason="one-time" if spent else None,
            description="",
            settings=made.settings,
            schedule=made.schedule,
            catch_up="last",
            overlap="skip",
            created_at=context.now,
            saved_at=context.now,
        ),
    )


def edited(job: Job, draft: Draft, context: Context) -> Job:
    """Return the next version of a job that may be edited. Raises Invalid or Refused.

    A repeated job that is made to run once, immediately, is spent like one born so (J6).
    """
    made = settled(draft, replace(context, previous=job.schedule))
    if made.schedule.kind == "once" and made.schedule.immediately:
        job = replace(job, state="suspended", state_reason="one-time")
    return _of(made, replace(job, version=job.version + 1, saved_at=context.now))


def slot_passed(job: Job, *, spent: bool, now: datetime) -> Job:
    """Return the job after one of its slots got its fate; `spent` when it was triggered or missed.

    A one-time job has had its start then, and is suspended for good (J7); else it is the very same job.
    """
    if job.schedule.kind != "once" or not spent or job.state_reason == "one-time":
        return job
    return job.suspended("one-time", now)


def run_failed(job: Job, in_a_row: int, now: datetime) -> Job:
    """Return the job after one of so many failed runs in a row: suspended after five (R8), else the same."""
    if job.state == "suspended" or in_a_row < FAILURES_MOST:
        return job
    return job.suspended("failures", now)


def _of(made: Settled, job: Job) -> Job:
    return replace(
        job,
        description=made.description,
        settings=made.settings,
        schedule=made.schedule,
        catch_up=made.catch_up,
        overlap=made.overlap,
    )
