"""The read model's writer: events of runs become what the list of jobs shows, and what jobs become by them.

Safe to repeat: a run is inserted once, moved only by newer events, and ended once; what follows from an event (a job
suspended, a failure counted) happens in the transaction that took it as new.
"""

from collections.abc import Iterable
from uuid import UUID

from job_api.domain import Job, run_failed, slot_passed
from job_api.errors import NotFound
from job_api.store import Actor, Change, Database, jobs, runs
from job_api.store.database import EVERYBODY, rescope
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
from shared.postgres import Connection

ShownEvent = SlotTriggered | SlotSkipped | RunEvent | RunEstimated


class Runs:
    """Takes events, of all tenants, in the order in which they came for each job."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def take(self, events: Iterable[ShownEvent]) -> None:
        """Take events in one transaction."""
        scope: UUID | None = None
        async with self._database.changing(EVERYBODY) as database:
            # Tenant by tenant, so that each event's writes can touch its own tenant's rows only; the order within a
            # job is kept, as the sort is stable and a job has one tenant.
            for event in sorted(events, key=lambda each: each.tenant_id):
                if event.tenant_id != scope:
                    scope = event.tenant_id
                    await rescope(database, scope)
                await self._one(database, event)

    async def _one(self, database: Connection, event: ShownEvent) -> None:
        match event:
            case SlotTriggered():
                await runs.insert(database, event)
                await runs.show_latest(database, event.tenant_id, event.job_id)
                await self._slot_passed(database, event, spent=True)
            case SlotSkipped():
                await self._slot_passed(database, event, spent=event.reason == "missed")
            case RunEstimated():
                await runs.estimate(database, event)
            case RunEvent():
                await self._moved(database, event)

    async def _moved(self, database: Connection, event: RunEvent) -> None:
        state = state_after(event)
        if state is None:
            return
        if isinstance(event, RunQueued | RunSkipped):
            await runs.insert(database, event)
        message = event.message if isinstance(event, RunAttemptFailed | RunFailed) else None
        if not await runs.move(database, event, state, message):
            return
        await runs.show_latest(database, event.tenant_id, event.job_id)
        if state == "succeeded":
            await runs.forget_failures(database, event.tenant_id, event.job_id)
        elif state == "failed":
            await self._failed(database, event)

    async def _failed(self, database: Connection, event: RunEvent) -> None:
        """Count failed runs in a row, and suspend a job that had too many (R8)."""
        in_a_row = await runs.count_failure(database, event.tenant_id, event.job_id)
        if in_a_row:
            job = await jobs.locked(database, event.tenant_id, event.job_id)
            await self._save(database, job, run_failed(job, in_a_row, self._clock.now()))

    async def _slot_passed(self, database: Connection, event: SlotTriggered | SlotSkipped, *, spent: bool) -> None:
        """Suspend a one-time job whose slot has come (J7), and show any other's next slot."""
        try:
            job = await jobs.locked(database, event.tenant_id, event.job_id)
        except NotFound:
            return  # deleted while the trigger was on its way: the exporters end the run, nothing is shown of it
        now = self._clock.now()
        after = slot_passed(job, spent=spent, now=now)
        await self._save(database, job, after)
        following = jobs.next_run(after, max(event.slot, now))
        await runs.show_next(database, event.tenant_id, event.job_id, following, after.version)

    async def _save(self, database: Connection, before: Job, after: Job) -> None:
        if after is before:
            return
        change = Change(database, Actor.system(after.tenant_id), after.saved_at)
        await jobs.update(database, after)
        change.tell(after.to_event())
        reason = {"state_reason": after.state_reason}
        change.note("job.suspend", after.job_id, before={"state": before.state}, after=reason)
        await change.settle()
