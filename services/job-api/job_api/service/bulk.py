"""One action on several jobs: each is carried out or refused by itself, and each result is reported."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal
from uuid import UUID

from job_api.domain import JobAction
from job_api.errors import LostUpdate, NotFound, OperationRefused
from job_api.service.jobs import JobService
from job_api.store import UnitOfWork, jobs

BulkAction = Literal["suspend", "resume", "run", "delete"]
_CHANGED = "It has been changed meanwhile: look at it again first."


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What an action did with one job: nothing, if there is a `refusal`."""

    job_id: str
    title: str
    refusal: str | None


async def act_on_jobs(
    work: UnitOfWork, service: JobService, action: BulkAction, *, chosen: Mapping[UUID, int | None]
) -> list[JobOutcome]:
    """Carry out an action on several jobs, each chosen in a version, or whatever its version (None).

    Jobs that no longer exist are left out.
    """
    outcomes = []
    # In one order everywhere, so that two requests that overlap do not wait for each other.
    for job_id in sorted(chosen):
        try:
            title = (await jobs.get_view(work.connection, work.actor.tenant_id, job_id)).job.settings.title
        except NotFound:
            continue
        outcomes.append(JobOutcome(str(job_id), title, await _act(work, service, action, job_id, chosen[job_id])))
    return sorted(outcomes, key=lambda each: each.title.casefold())


def to_document(action: BulkAction, outcomes: Sequence[JobOutcome]) -> dict[str, Any]:
    """Return the outcomes as JSON, to be shown on the next page."""
    return {"action": action, "jobs": [asdict(each) for each in outcomes]}


async def _act(
    work: UnitOfWork, service: JobService, action: BulkAction, job_id: UUID, version: int | None
) -> str | None:
    versions = frozenset({version}) if version is not None else None
    try:
        match action:
            case "run":
                await service.run_now(work, job_id)
            case "delete":
                await service.delete(work, job_id, versions=versions)
            case _:
                await service.switch(work, job_id, JobAction(action))
    except OperationRefused as error:
        return error.detail
    except LostUpdate:
        return _CHANGED
    return None
