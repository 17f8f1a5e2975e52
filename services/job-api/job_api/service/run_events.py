"""The read model of runs: applies triggers, run events and estimates to the jobs that the API shows.

Events may repeat: a run is inserted once, changed only by newer events, and ended once. What follows from an event (a
suspended job, a counted failure) is written in the transaction that applied the event first.
"""

from collections.abc import Iterable
from uuid import UUID

from job_api.domain import Job, apply_run_failure, apply_slot_fate
from job_api.errors import NotFound
from job_api.store import ALL_TENANTS, Actor, Database, UnitOfWork, jobs, recipients, runs
from job_api.store.database import set_scope
from shared.clock import Clock
from shared.events import (
    RunAttemptFailed,
    RunEstimated,
    RunEvent,
    RunFailed,
    RunQueued,
    RunSkipped,
    SlotSkipped,
    SlotTriggered,
    state_after,
)
from shared.events.runs import RunStarted
from shared.postgres import Connection

AppliedEvent = SlotTriggered | SlotSkipped | RunEvent | RunEstimated
"""The events that change the read model."""


class RunEventHandler:
    """Applies events of all tenants, in their order within each job."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def apply(self, events: Iterable[AppliedEvent]) -> None:
        """Apply events in one transaction. Raises PostgresUnavailable."""
        scope: UUID | None = None
        async with self._database.transaction(ALL_TENANTS) as database:
            # Tenant by tenant, so that the writes of each event reach its own tenant's rows only; the sort is stable
            # and a job belongs to one tenant, so the order within a job is kept.
            for event in sorted(events, key=lambda each: each.tenant_id):
                if event.tenant_id != scope:
                    scope = event.tenant_id
                    await set_scope(database, scope)
                await self._apply_one(database, event)

    async def _apply_one(self, database: Connection, event: AppliedEvent) -> None:
        match event:
            case SlotTriggered():
                await runs.insert(database, event)
                await runs.update_latest_run(database, event.tenant_id, event.job_id)
                await self._apply_slot(database, event, started=True)
            case SlotSkipped():
                await self._apply_slot(database, event, started=event.reason == "missed")
            case RunEstimated():
                await runs.apply_estimate(database, event)
            case RunEvent():
                await self._apply_run_event(database, event)

    async def _apply_run_event(self, database: Connection, event: RunEvent) -> None:
        state = state_after(event)
        if state is None:
            return
        if isinstance(event, RunQueued | RunSkipped):
            await runs.insert(database, event)
        message = event.message if isinstance(event, RunAttemptFailed | RunFailed) else None
        if not await runs.apply_event(database, event, state, message=message):
            return
        if isinstance(event, RunStarted):
            await recipients.record_use(database, event)
        await runs.update_latest_run(database, event.tenant_id, event.job_id)
        if state == "succeeded":
            await runs.reset_failures(database, event.tenant_id, event.job_id)
        elif state == "failed":
            await self._count_failure(database, event)

    async def _count_failure(self, database: Connection, event: RunEvent) -> None:
        """Count consecutive failed runs, and suspend a job that has had too many (rule R8)."""
        consecutive = await runs.count_failure(database, event.tenant_id, event.job_id)
        if consecutive:
            job = await jobs.lock(database, event.tenant_id, event.job_id)
            await self._save(database, job, apply_run_failure(job, consecutive, self._clock.now()))

    async def _apply_slot(self, database: Connection, event: SlotTriggered | SlotSkipped, *, started: bool) -> None:
        """Suspend a one-time job whose slot has passed (rule J7), and move any other to its next slot."""
        try:
            job = await jobs.lock(database, event.tenant_id, event.job_id)
        except NotFound:
            return  # Deleted while the trigger was in flight: the exporters cancel the run.
        now = self._clock.now()
        after = apply_slot_fate(job, started=started, now=now)
        await self._save(database, job, after)
        next_run = jobs.find_next_run(after, max(event.slot, now))
        await runs.update_next_run(database, event.job_id, next_run, tenant_id=event.tenant_id, version=after.version)

    async def _save(self, database: Connection, before: Job, after: Job) -> None:
        if after is before:
            return
        work = UnitOfWork(database, Actor.system(after.tenant_id), after.saved_at)
        await jobs.update(database, after)
        work.emit(after.to_event())
        reason = {"state_reason": after.state_reason}
        work.audit("job.suspend", after.job_id, before={"state": before.state}, after=reason)
        await work.flush()
