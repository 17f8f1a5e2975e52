"""Commands on jobs, and reading them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from pydantic import TypeAdapter

from job_api.domain import Command, Draft, Job, ScheduleDraft, created, edited, perform, settled
from job_api.domain.drafts import Settled
from job_api.domain.schedules import schedule_faults, settled_schedule
from job_api.errors import Invalid, LostUpdate
from job_api.store import Actor, Change, Database, JobView, Once, job_list, jobs
from job_api.store.change import Answer
from job_api.store.identities import Tenant, tenant
from job_api.store.known import KnownJobs
from job_api.store.listing import Page, Wish
from shared import timetable
from shared.auth import Identity
from shared.clock import Clock
from shared.events import JobDeleted, JobSaved, RunNow, Schedule
from shared.timetable import derive_request_run_id, truncate_to_second

_SAVED = TypeAdapter(JobSaved)
Redraft = Callable[[Job], Draft]
"""What an edit makes of the job as it stands: a replacement ignores it, a patch begins with it."""


class Jobs:
    """Jobs of the tenant of whoever asks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._known = KnownJobs()

    async def create(self, who: Identity, draft: Draft, once: Once, render: Callable[[JobView], Answer]) -> Answer:
        """Make a job. Raises Invalid, Refused or IdempotencyConflict."""
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            return await change.once(once, lambda: self._create(change, draft, render))

    async def _create(self, change: Change, draft: Draft, render: Callable[[JobView], Answer]) -> Answer:
        tenant_id = change.actor.tenant_id
        context = await jobs.context(change.database, tenant_id, change.at)
        job = created(draft, context, job_id=uuid4(), tenant_id=tenant_id)
        await jobs.insert(change.database, job)
        change.tell(job.to_event())
        change.note("job.create", job.job_id, after=_document(job))
        return render(JobView(job, None, None, jobs.next_run(job, change.at)))

    async def clone(
        self, who: Identity, job_id: UUID, redraft: Redraft, once: Once, render: Callable[[JobView], Answer]
    ) -> Answer:
        """Make a job of another's settings. Raises NotFound, Invalid, Refused or IdempotencyConflict."""
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:

            async def make() -> Answer:
                found = await jobs.view(change.database, who.tenant_id, job_id)
                return await self._create(change, redraft(found.job), render)

            return await change.once(once, make)

    async def run_now(self, who: Identity, job_id: UUID, once: Once, render: Callable[[UUID], Answer]) -> Answer:
        """Ask for a run at once, beside the schedule (S10). Raises NotFound, Refused or IdempotencyConflict."""
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:

            async def ask() -> Answer:
                job = await _locked(change, job_id, None)
                perform(job, Command.RUN, now=change.at, busy=None)
                asked = RunNow(
                    job_id=job_id,
                    tenant_id=job.tenant_id,
                    request_id=uuid4(),
                    job_version=job.version,
                    settings=job.settings,
                    overlap=job.overlap,
                    requested_by=who.user_id,
                    requested_at=change.at,
                )
                change.tell(asked)
                change.note("job.run", job_id, after={"run": str(derive_request_run_id(asked.request_id))})
                return render(derive_request_run_id(asked.request_id))

            return await change.once(once, ask)

    async def edit(self, who: Identity, job_id: UUID, *, versions: frozenset[int] | None, redraft: Redraft) -> JobView:
        """Replace a job's settings. Raises NotFound, LostUpdate, Invalid or Refused.

        `versions` are those that the caller has seen, any of which may be replaced; None stands for all.
        """
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            job = await _locked(change, job_id, versions)
            perform(job, Command.EDIT, now=change.at, busy=None)
            context = await jobs.context(change.database, job.tenant_id, change.at)
            await _save(change, "job.edit", job, edited(job, redraft(job), context))
            return await jobs.view(change.database, job.tenant_id, job_id)

    async def switch(
        self, who: Identity, job_id: UUID, command: Command, *, versions: frozenset[int] | None = None
    ) -> JobView:
        """Suspend or resume a job; doing it again changes nothing. Raises NotFound, LostUpdate or Refused."""
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            job = await _locked(change, job_id, versions)
            after = perform(job, command, now=change.at, busy=None)
            if after is not job:
                await _save(change, f"job.{command.value}", job, after)
            return await jobs.view(change.database, job.tenant_id, job_id)

    async def delete(self, who: Identity, job_id: UUID, *, versions: frozenset[int] | None) -> None:
        """Delete a job that has no run in progress. Raises NotFound, LostUpdate or Refused (J9)."""
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            job = await _locked(change, job_id, versions)
            perform(job, Command.DELETE, now=change.at, busy=await jobs.busy(change.database, job))
            await jobs.delete(change.database, job)
            change.tell(JobDeleted(job_id=job_id))
            change.note("job.delete", job_id, before=_document(job))

    async def get(self, who: Identity, job_id: UUID) -> JobView:
        """Return a job. Raises NotFound."""
        async with self._database.blind() as database:
            return await self._known.view(database, who.tenant_id, job_id)

    async def page(self, who: Identity, wish: Wish) -> Page[JobView]:
        """Return a page of jobs."""
        async with self._database.blind() as database:
            return await job_list.page(database, who.tenant_id, wish, self._known)

    async def check(self, who: Identity, draft: Draft) -> Settled:
        """Return what a job made of the draft would hold, without making it. Raises Invalid or Refused."""
        async with self._database.looking(who.tenant_id) as database:
            return settled(draft, await jobs.context(database, who.tenant_id, self._clock.now()))

    def preview(
        self, draft: ScheduleDraft, count: int, previous: Schedule | None = None
    ) -> tuple[Schedule, list[datetime]]:
        """Return a schedule that is not saved yet, and its next slots (J12). Raises Invalid.

        `previous` is that of the job which is edited: what it had done at once is not done again (J10).
        """
        now = self._clock.now()
        if faults := tuple(schedule_faults(draft, now=now, previous=previous)):
            raise Invalid(*faults)
        schedule = settled_schedule(draft, now=now, previous=previous)
        since = schedule.start if schedule.immediately and schedule.start >= truncate_to_second(now) else now
        return schedule, timetable.preview_slots(schedule, count, since - timedelta(microseconds=1))

    async def tenant(self, who: Identity) -> Tenant:
        """Return the tenant of whoever asks."""
        async with self._database.looking(who.tenant_id) as database:
            return await tenant(database, who.tenant_id)


async def _locked(change: Change, job_id: UUID, versions: frozenset[int] | None) -> Job:
    job = await jobs.locked(change.database, change.actor.tenant_id, job_id)
    if versions is not None and job.version not in versions:
        raise LostUpdate(job.version)
    return job


async def _save(change: Change, action: str, before: Job, after: Job) -> None:
    await jobs.update(change.database, after)
    change.tell(after.to_event())
    change.note(action, after.job_id, before=_document(before), after=_document(after))


def _document(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = _SAVED.dump_python(job.to_event(), mode="json")
    return found
