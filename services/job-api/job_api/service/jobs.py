"""Commands on jobs, and reading them."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

from pydantic import TypeAdapter

from job_api.domain import Command, Draft, Job, created, edited, perform
from job_api.errors import LostUpdate
from job_api.store import Actor, Change, Database, JobView, Once, jobs, listing
from job_api.store.change import Answer
from job_api.store.identities import Tenant, tenant
from shared.auth import Identity
from shared.clock import Clock
from shared.events import JobDeleted, JobSaved

_SAVED = TypeAdapter(JobSaved)
Redraft = Callable[[Job], Draft]
"""What an edit makes of the job as it stands: a replacement ignores it, a patch begins with it."""


class Jobs:
    """Jobs of the tenant of whoever asks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def create(self, who: Identity, draft: Draft, once: Once, render: Callable[[JobView], Answer]) -> Answer:
        """Make a job. Raises Invalid, Refused or IdempotencyConflict."""
        async with Change.begun(self._database, Actor.of(who), self._clock.now()) as change:
            return await change.once(once, lambda: self._create(change, draft, render))

    async def _create(self, change: Change, draft: Draft, render: Callable[[JobView], Answer]) -> Answer:
        tenant_id = change.actor.tenant_id
        context = await jobs.context(change.database, tenant_id, change.at)
        job = created(draft, context, job_id=uuid4(), tenant_id=tenant_id)
        await jobs.insert(change.database, job)
        await change.tell(job.to_event())
        await change.note("job.create", job.job_id, after=_document(job))
        return render(JobView(job, None, None, jobs.next_run(job, change.at)))

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
            await change.tell(JobDeleted(job_id=job_id))
            await change.note("job.delete", job_id, before=_document(job))

    async def get(self, who: Identity, job_id: UUID) -> JobView:
        """Return a job. Raises NotFound."""
        async with self._database.looking(who.tenant_id) as database:
            return await jobs.view(database, who.tenant_id, job_id)

    async def page(self, who: Identity, wish: listing.Wish) -> listing.Page:
        """Return a page of jobs."""
        async with self._database.looking(who.tenant_id) as database:
            return await listing.page(database, who.tenant_id, wish)

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
    await change.tell(after.to_event())
    await change.note(action, after.job_id, before=_document(before), after=_document(after))


def _document(job: Job) -> dict[str, Any]:
    found: dict[str, Any] = _SAVED.dump_python(job.to_event(), mode="json")
    return found
