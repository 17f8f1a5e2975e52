"""A job and its versions."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from job_api.domain.drafts import Draft, DraftContext, ValidDraft, validate_draft
from shared.events import JobSaved, JobSettings, Schedule
from shared.events.values import CatchUp, JobState, Overlap

StateReason = Literal["one-time", "user", "failures"]
MAX_FAILURES = 5
"""The number of consecutive failed runs after which the system suspends a job (rule R8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One version of a job; `version` rises by one with each change."""

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
        """Return the event that publishes this version to the other services."""
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

    def suspend(self, reason: StateReason, now: datetime) -> "Job":
        """Return the next version, suspended."""
        return replace(self, version=self.version + 1, state="suspended", state_reason=reason, saved_at=now)

    def replace_certificate(self, certificate: UUID, successor: UUID, now: datetime) -> "Job":
        """Return the next version, with another recipient in the place of one that it names."""
        named = (successor if each == certificate else each for each in self.settings.certificates or ())
        settings = replace(self.settings, certificates=tuple(dict.fromkeys(named)))
        return replace(self, version=self.version + 1, settings=settings, saved_at=now)

    def resume(self, now: datetime) -> "Job":
        """Return the next version, active."""
        return replace(self, version=self.version + 1, state="active", state_reason=None, saved_at=now)


def create_job(draft: Draft, context: DraftContext, *, job_id: UUID, tenant_id: UUID) -> Job:
    """Return the first version of a job. Raises InvalidInput or OperationRefused.

    A one-time job that starts immediately is created suspended and can never be resumed (rule J6).
    """
    valid = validate_draft(draft, context)
    starts_now = valid.schedule.kind == "once" and valid.schedule.immediately
    job = Job(
        job_id=job_id,
        tenant_id=tenant_id,
        version=1,
        state="suspended" if starts_now else "active",
        state_reason="one-time" if starts_now else None,
        description="",
        settings=valid.settings,
        schedule=valid.schedule,
        catch_up="last",
        overlap="skip",
        created_at=context.now,
        saved_at=context.now,
    )
    return _merge(job, valid)


def edit_job(job: Job, draft: Draft, context: DraftContext) -> Job:
    """Return the next version of a job that may be edited. Raises InvalidInput or OperationRefused.

    A repeated job edited to run once, immediately, is suspended like one created so (rule J6).
    """
    valid = validate_draft(draft, replace(context, previous=job.schedule))
    if valid.schedule.kind == "once" and valid.schedule.immediately:
        job = replace(job, state="suspended", state_reason="one-time")
    return _merge(replace(job, version=job.version + 1, saved_at=context.now), valid)


def apply_slot_fate(job: Job, *, started: bool, now: datetime) -> Job:
    """Return the job after one of its slots got its fate; `started` if the slot was triggered or missed.

    A one-time job has then had its start and is suspended for good (rule J7); any other job is returned unchanged.
    """
    if job.schedule.kind != "once" or not started or job.state_reason == "one-time":
        return job
    return job.suspend("one-time", now)


def apply_run_failure(job: Job, consecutive: int, now: datetime) -> Job:
    """Return the job after its `consecutive`-th failed run in a row: suspended from five on (rule R8)."""
    if job.state == "suspended" or consecutive < MAX_FAILURES:
        return job
    return job.suspend("failures", now)


def _merge(job: Job, valid: ValidDraft) -> Job:
    return replace(
        job,
        description=valid.description,
        settings=valid.settings,
        schedule=valid.schedule,
        catch_up=valid.catch_up,
        overlap=valid.overlap,
    )
