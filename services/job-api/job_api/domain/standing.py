"""State x command -> what happens or why not: the rules J5 to J9 as one table."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from uuid import UUID

from job_api.domain.jobs import Job
from job_api.errors import Refused


class Command(Enum):
    """What can be asked of a job."""

    SUSPEND = "suspend"
    RESUME = "resume"
    EDIT = "edit"
    RUN = "run"
    DELETE = "delete"


class Standing(Enum):
    """Where a job stands, as far as commands care."""

    REPEATED_ACTIVE = "repeated, active"
    REPEATED_SUSPENDED = "repeated, suspended"
    ONCE_WAITING = "one-time, its start to come"
    ONCE_PAUSED = "one-time, suspended before its start"
    ONCE_SPENT = "one-time, started or past its start"


class Outcome(Enum):
    """What a command does."""

    SUSPENDED = "suspended"
    RESUMED = "resumed"
    ALLOWED = "allowed"
    NOTHING = "nothing to do"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command is refused: the problem's type, and words."""

    kind: str
    detail: str


_NOT_RESUMABLE = Refusal(
    "one-time-not-resumable", "This job runs once and its start has passed: clone it to run it again."
)
_NOT_EDITABLE = Refusal("one-time-not-editable", "A job that runs once cannot be edited: clone it, or delete it.")
_NOT_RUN = Refusal("one-time-not-run-now", "A job that runs once cannot be run again: clone it and start the clone.")

TABLE = MappingProxyType(
    {
        (Standing.REPEATED_ACTIVE, Command.SUSPEND): Outcome.SUSPENDED,
        (Standing.REPEATED_ACTIVE, Command.RESUME): Outcome.NOTHING,
        (Standing.REPEATED_ACTIVE, Command.EDIT): Outcome.ALLOWED,
        (Standing.REPEATED_ACTIVE, Command.RUN): Outcome.ALLOWED,
        (Standing.REPEATED_SUSPENDED, Command.SUSPEND): Outcome.NOTHING,
        (Standing.REPEATED_SUSPENDED, Command.RESUME): Outcome.RESUMED,
        (Standing.REPEATED_SUSPENDED, Command.EDIT): Outcome.ALLOWED,
        (Standing.REPEATED_SUSPENDED, Command.RUN): Outcome.ALLOWED,
        (Standing.ONCE_WAITING, Command.SUSPEND): Outcome.SUSPENDED,
        (Standing.ONCE_WAITING, Command.RESUME): Outcome.NOTHING,
        (Standing.ONCE_WAITING, Command.EDIT): _NOT_EDITABLE,
        (Standing.ONCE_WAITING, Command.RUN): _NOT_RUN,
        (Standing.ONCE_PAUSED, Command.SUSPEND): Outcome.NOTHING,
        (Standing.ONCE_PAUSED, Command.RESUME): Outcome.RESUMED,
        (Standing.ONCE_PAUSED, Command.EDIT): _NOT_EDITABLE,
        (Standing.ONCE_PAUSED, Command.RUN): _NOT_RUN,
        (Standing.ONCE_SPENT, Command.SUSPEND): Outcome.NOTHING,
        (Standing.ONCE_SPENT, Command.RESUME): _NOT_RESUMABLE,
        (Standing.ONCE_SPENT, Command.EDIT): _NOT_EDITABLE,
        (Standing.ONCE_SPENT, Command.RUN): _NOT_RUN,
    }
    | {(standing, Command.DELETE): Outcome.ALLOWED for standing in Standing}
)


def standing_of(job: Job, now: datetime) -> Standing:
    """Return where a job stands at an instant."""
    active = job.state == "active"
    if job.schedule.kind != "once":
        return Standing.REPEATED_ACTIVE if active else Standing.REPEATED_SUSPENDED
    if job.state_reason == "one-time" or job.schedule.start <= now:
        return Standing.ONCE_SPENT
    return Standing.ONCE_WAITING if active else Standing.ONCE_PAUSED


_REFUSED = {
    standing: {
        command.value: found.detail for command in Command if isinstance(found := TABLE[standing, command], Refusal)
    }
    for standing in Standing
}


def refusals(job: Job, *, now: datetime, busy: UUID | None) -> dict[str, str]:
    """Return what cannot be done with a job now, and why; `busy` is its queued or running run."""
    found = _REFUSED[standing_of(job, now)]
    return found if busy is None else {**found, Command.DELETE.value: _in_progress(busy).detail}


def _in_progress(run: UUID) -> Refusal:
    detail = f"The run {run} of this job is in progress: cancel it or wait for its end, then delete."
    return Refusal("run-in-progress", detail)


def perform(job: Job, command: Command, *, now: datetime, busy: UUID | None) -> Job:
    """Return the job as a command leaves it; the very same job where there is nothing to change.

    Raises Refused, which names the run in progress and its cancel where that is the reason (J9).
    """
    if command is Command.DELETE and busy is not None:
        refusal = _in_progress(busy)
        raise Refused(refusal.kind, refusal.detail, extra={"run": str(busy), "cancel": f"/api/v1/runs/{busy}/cancel"})
    match TABLE[standing_of(job, now), command]:
        case Refusal(kind, detail):
            raise Refused(kind, detail)
        case Outcome.SUSPENDED:
            return job.suspended("user", now)
        case Outcome.RESUMED:
            return job.resumed(now)
        case _:
            return job
