"""Commands on jobs, and reading them."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

from pydantic import TypeAdapter

from job_api.domain import (
    Draft,
    Job,
    JobAction,
    ScheduleDraft,
    ValidDraft,
    apply_action,
    create_job,
    edit_job,
    validate_draft,
)
from job_api.domain.schedules import build_schedule, check_schedule
from job_api.errors import FieldFault, InvalidInput, LostUpdate
from job_api.store import Database, JobView, UnitOfWork, certificates, jobs, recipients, runs
from job_api.store.job_cache import JobCache
from job_api.store.job_counts import JobCounter, ListPosition
from shared import timetable
from shared.auth import Identity
from shared.clock import Clock
from shared.events import JobSaved, RunNow, Schedule
from shared.http.lists import Page, PageRequest
from shared.timetable import derive_request_run_id, truncate_to_second

_JOB_SAVED = TypeAdapter(JobSaved)
Redraft = Callable[[Job], Draft]
"""Returns the draft of a job's next version: a replacement ignores the present version, a patch starts from it."""


class JobService:
    """The jobs of the caller's tenant."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._cache = JobCache()
        self._counter = JobCounter(database)

    async def create(self, work: UnitOfWork, draft: Draft) -> JobView:
        """Create a job. Raises InvalidInput or OperationRefused."""
        tenant_id = work.actor.tenant_id
        context = await jobs.get_context(work.connection, tenant_id, work.at, draft=draft)
        job = create_job(draft, context, job_id=uuid4(), tenant_id=tenant_id)
        await jobs.insert(work.connection, job)
        self._count_anew(work)
        work.emit(job.to_event())
        work.audit("job.create", job.job_id, after=_to_document(job))
        return JobView(job, None, None, jobs.find_first_run(job))

    async def clone(self, work: UnitOfWork, job_id: UUID, redraft: Redraft) -> JobView:
        """Create a job from another's settings. Raises NotFound, InvalidInput or OperationRefused."""
        found = await jobs.get_view(work.connection, work.actor.tenant_id, job_id)
        return await self.create(work, redraft(found.job))

    async def run_now(self, work: UnitOfWork, job_id: UUID) -> UUID:
        """Request a run at once, apart from the schedule (rule S10); return its id.

        Raises NotFound or OperationRefused.
        """
        job = await _lock(work, job_id, None)
        apply_action(job, JobAction.RUN, now=work.at, run_in_progress=None)
        command = RunNow(
            job_id=job_id,
            tenant_id=job.tenant_id,
            request_id=uuid4(),
            job_version=job.version,
            settings=job.settings,
            overlap=job.overlap,
            requested_by=work.actor.user_id,
            requested_at=work.at,
        )
        run_id = derive_request_run_id(command.request_id)
        # Known at once, before the scheduler takes the request.
        await runs.insert_requested(work.connection, run_id, job, at=work.at)
        await runs.update_latest_run(work.connection, job.tenant_id, job_id)
        self._count_anew(work)
        work.emit(command)
        work.audit("job.run", job_id, after={"run": str(run_id)})
        return run_id

    async def edit(
        self, work: UnitOfWork, job_id: UUID, *, versions: frozenset[int] | None, redraft: Redraft
    ) -> JobView:
        """Replace a job's settings. Raises NotFound, LostUpdate, InvalidInput or OperationRefused.

        `versions` are those that the caller may have read; None accepts any.
        """
        job = await _lock(work, job_id, versions)
        apply_action(job, JobAction.EDIT, now=work.at, run_in_progress=None)
        draft = redraft(job)
        context = await jobs.get_context(work.connection, job.tenant_id, work.at, draft=draft)
        await _save(work, "job.edit", job, after=edit_job(job, draft, context))
        return await jobs.get_view(work.connection, job.tenant_id, job_id)

    async def switch(
        self, work: UnitOfWork, job_id: UUID, action: JobAction, *, versions: frozenset[int] | None = None
    ) -> JobView:
        """Suspend or resume a job; repeating it changes nothing. Raises NotFound, LostUpdate or OperationRefused."""
        job = await _lock(work, job_id, versions)
        after = apply_action(job, action, now=work.at, run_in_progress=None)
        if after is not job:
            self._count_anew(work)
            await _save(work, f"job.{action.value}", job, after=after)
        return await jobs.get_view(work.connection, job.tenant_id, job_id)

    async def replace_certificate(self, work: UnitOfWork, certificate_id: UUID, successor: UUID) -> int:
        """Let the repeated jobs that name a certificate name another one instead; return how many did.

        A job that runs once is not changed (rule J8). Raises InvalidInput for a successor that is not active.
        """
        if (await certificates.get(work.connection, work.actor.tenant_id, successor)).state != "active":
            raise InvalidInput(FieldFault("successor", "select an active certificate"))
        found = await recipients.lock_jobs(work.connection, work.actor.tenant_id, certificate_id)
        for job in found:
            await _save(work, "job.edit", job, after=job.replace_certificate(certificate_id, successor, work.at))
        return len(found)

    async def delete(self, work: UnitOfWork, job_id: UUID, *, versions: frozenset[int] | None) -> None:
        """Delete a job that has no run in progress. Raises NotFound, LostUpdate or OperationRefused (rule J9)."""
        job = await _lock(work, job_id, versions)
        run_id = await jobs.find_run_in_progress(work.connection, job)
        apply_action(job, JobAction.DELETE, now=work.at, run_in_progress=run_id)
        deletion = await jobs.delete(work.connection, job, at=work.at)
        self._count_anew(work)
        work.emit(deletion.to_event())
        work.audit("job.delete", job_id, before=_to_document(job))

    async def get(self, identity: Identity, job_id: UUID) -> JobView:
        """Return a job. Raises NotFound."""
        async with self._database.read_without_scope() as database:
            return await self._cache.get_view(database, identity.tenant_id, job_id)

    async def list_page(self, identity: Identity, request: PageRequest) -> Page[JobView]:
        """Return a page of jobs."""
        async with self._database.read_without_scope() as database:
            return await self._cache.list_views(database, identity.tenant_id, request)

    async def count_by_state(self, identity: Identity) -> Mapping[str, int]:
        """Return how many jobs there are: all, running, queued, failed, suspended; at most two seconds old."""
        return await self._counter.count_by_state(identity.tenant_id)

    async def locate(self, identity: Identity, request: PageRequest, page: Page[JobView]) -> ListPosition:
        """Return how many jobs match the filters of a page, and how many of them stand before it."""
        return await self._counter.locate(identity.tenant_id, request, page.before)

    def now(self) -> datetime:
        """Return the instant at which refusals are judged."""
        return self._clock.now()

    def _count_anew(self, work: UnitOfWork) -> None:
        work.on_commit(partial(self._counter.forget, work.actor.tenant_id))

    async def validate(self, identity: Identity, draft: Draft) -> ValidDraft:
        """Return the parts of the job that a draft describes. Raises InvalidInput or OperationRefused."""
        async with self._database.read(identity.tenant_id) as database:
            context = await jobs.get_context(database, identity.tenant_id, self._clock.now(), draft=draft)
            return validate_draft(draft, context)

    def preview(
        self, draft: ScheduleDraft, count: int, previous: Schedule | None = None
    ) -> tuple[Schedule, list[datetime]]:
        """Return an unsaved schedule and its next `count` slots (rule J12). Raises InvalidInput.

        `previous` is the schedule of the job being edited: a slot that it fired immediately is not shown again (J10).
        """
        now = self._clock.now()
        if faults := tuple(check_schedule(draft, now=now, previous=previous)):
            raise InvalidInput(*faults)
        schedule = build_schedule(draft, now=now, previous=previous)
        since = schedule.start if schedule.immediately and schedule.start >= truncate_to_second(now) else now
        return schedule, timetable.preview_slots(schedule, count, since - timedelta(microseconds=1))


async def _lock(work: UnitOfWork, job_id: UUID, versions: frozenset[int] | None) -> Job:
    job = await jobs.lock(work.connection, work.actor.tenant_id, job_id)
    if versions is not None and job.version not in versions:
        raise LostUpdate(job.version)
    return job


async def _save(work: UnitOfWork, action: str, before: Job, *, after: Job) -> None:
    await jobs.update(work.connection, after)
    work.emit(after.to_event())
    work.audit(action, after.job_id, before=_to_document(before), after=_to_document(after))


def _to_document(job: Job) -> dict[str, Any]:
    document: dict[str, Any] = _JOB_SAVED.dump_python(job.to_event(), mode="json")
    return document
