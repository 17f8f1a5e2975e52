"""Which action is allowed in which stage of a job's life, and what it does: rules J5 to J9 as one table."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from uuid import UUID

from job_api.domain.jobs import Job
from job_api.errors import OperationRefused


class JobAction(Enum):
    """What a user can do with a job."""

    SUSPEND = "suspend"
    RESUME = "resume"
    EDIT = "edit"
    RUN = "run"
    DELETE = "delete"


class JobStage(Enum):
    """The stages of a job's life that decide which actions are allowed."""

    REPEATED_ACTIVE = "repeated, active"
    REPEATED_SUSPENDED = "repeated, suspended"
    ONCE_WAITING = "one-time, waiting for its start"
    ONCE_PAUSED = "one-time, suspended before its start"
    ONCE_SPENT = "one-time, started or past its start"


class Outcome(Enum):
    """What an allowed action does."""

    SUSPENDED = "suspended"
    RESUMED = "resumed"
    ALLOWED = "allowed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an action is refused: the problem type and the message."""

    kind: str
    detail: str


_NOT_RESUMABLE = Refusal(
    "one-time-not-resumable", "This job runs once and its start has passed: clone it to run it again."
)
_NOT_EDITABLE = Refusal("one-time-not-editable", "A job that runs once cannot be edited: clone it, or delete it.")
_NOT_RUN = Refusal("one-time-not-run-now", "A job that runs once cannot be run again: clone it and start the clone.")

TABLE = MappingProxyType(
    {
        (JobStage.REPEATED_ACTIVE, JobAction.SUSPEND): Outcome.SUSPENDED,
        (JobStage.REPEATED_ACTIVE, JobAction.RESUME): Outcome.UNCHANGED,
        (JobStage.REPEATED_ACTIVE, JobAction.EDIT): Outcome.ALLOWED,
        (JobStage.REPEATED_ACTIVE, JobAction.RUN): Outcome.ALLOWED,
        (JobStage.REPEATED_SUSPENDED, JobAction.SUSPEND): Outcome.UNCHANGED,
        (JobStage.REPEATED_SUSPENDED, JobAction.RESUME): Outcome.RESUMED,
        (JobStage.REPEATED_SUSPENDED, JobAction.EDIT): Outcome.ALLOWED,
        (JobStage.REPEATED_SUSPENDED, JobAction.RUN): Outcome.ALLOWED,
        (JobStage.ONCE_WAITING, JobAction.SUSPEND): Outcome.SUSPENDED,
        (JobStage.ONCE_WAITING, JobAction.RESUME): Outcome.UNCHANGED,
        (JobStage.ONCE_WAITING, JobAction.EDIT): _NOT_EDITABLE,
        (JobStage.ONCE_WAITING, JobAction.RUN): _NOT_RUN,
        (JobStage.ONCE_PAUSED, JobAction.SUSPEND): Outcome.UNCHANGED,
        (JobStage.ONCE_PAUSED, JobAction.RESUME): Outcome.RESUMED,
        (JobStage.ONCE_PAUSED, JobAction.EDIT): _NOT_EDITABLE,
        (JobStage.ONCE_PAUSED, JobAction.RUN): _NOT_RUN,
        (JobStage.ONCE_SPENT, JobAction.SUSPEND): Outcome.UNCHANGED,
        (JobStage.ONCE_SPENT, JobAction.RESUME): _NOT_RESUMABLE,
        (JobStage.ONCE_SPENT, JobAction.EDIT): _NOT_EDITABLE,
        (JobStage.ONCE_SPENT, JobAction.RUN): _NOT_RUN,
    }
    | {(stage, JobAction.DELETE): Outcome.ALLOWED for stage in JobStage}
)


def find_stage(job: Job, now: datetime) -> JobStage:
    """Return the stage of a job's life at an instant."""
    active = job.state == "active"
    if job.schedule.kind != "once":
        return JobStage.REPEATED_ACTIVE if active else JobStage.REPEATED_SUSPENDED
    if job.state_reason == "one-time" or job.schedule.start <= now:
        return JobStage.ONCE_SPENT
    return JobStage.ONCE_WAITING if active else JobStage.ONCE_PAUSED


_REFUSALS = {
    stage: {action.value: found.detail for action in JobAction if isinstance(found := TABLE[stage, action], Refusal)}
    for stage in JobStage
}


def find_refusals(job: Job, *, now: datetime, run_in_progress: UUID | None) -> dict[str, str]:
    """Return the actions that would be refused now, each with the reason.

    `run_in_progress` is the job's queued or running run, if any.
    """
    found = _REFUSALS[find_stage(job, now)]
    if run_in_progress is None:
        return found
    return {**found, JobAction.DELETE.value: _refuse_deletion(run_in_progress).detail}


def _refuse_deletion(run_id: UUID) -> Refusal:
    detail = f"The run {run_id} of this job is in progress: cancel it or wait for it to end, then delete the job."
    return Refusal("run-in-progress", detail)


def apply_action(job: Job, action: JobAction, *, now: datetime, run_in_progress: UUID | None) -> Job:
    """Return the job after an action; the same object if the action changes nothing.

    Raises OperationRefused, which names the run in progress and its cancel address if that is the reason (rule J9).
    """
    if action is JobAction.DELETE and run_in_progress is not None:
        refusal, run_id = _refuse_deletion(run_in_progress), str(run_in_progress)
        extra = {"run": run_id, "cancel": f"/api/v1/runs/{run_id}/cancel"}
        raise OperationRefused(refusal.kind, refusal.detail, extra=extra)
    match TABLE[find_stage(job, now), action]:
        case Refusal(kind, detail):
            raise OperationRefused(kind, detail)
        case Outcome.SUSPENDED:
            return job.suspend("user", now)
        case Outcome.RESUMED:
            return job.resume(now)
        case _:
            return job
