"""Taking in what others say: changes of jobs, and requests to run one now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter

from scheduler.domain import INSTANT, Change, Version, changed, deleted
from scheduler.emitter import SOURCE, answer
from scheduler.service import STALL
from scheduler.store import Ledger
from shared import outbox
from shared.events import JobDeleted, JobSaved, JobSettings, RunNow
from shared.observe import SLOTS
from shared.postgres import Connection
from shared.timetable import derive_request_run_id, truncate_to_second

_SETTINGS = TypeAdapter(JobSettings)


@dataclass
class _Batch:
    """What a batch of changes makes of the jobs it is about."""

    known: dict[UUID, Version]
    ruling: dict[UUID, Version] = field(default_factory=dict)
    past: list[Version] = field(default_factory=list)
    ended: set[UUID] = field(default_factory=set)

    def take(self, event: JobSaved | JobDeleted, now: datetime) -> None:
        """Take one change, after those before it."""
        before = self.ruling.get(event.job_id) or self.known.get(event.job_id)
        change: Change | None
        if isinstance(event, JobSaved):
            change = changed(before, event, _SETTINGS.dump_json(event.settings).decode())
        else:
            change = deleted(before, now) if before is not None else None
            self.ended.add(event.job_id)
        if change is not None:
            self.ruling[event.job_id] = change.ruling
            if change.past is not None:
                self.past.append(change.past)


class Intake:
    """Takes changes and requests, each idempotently; wakes the scheduler when there is something to do."""

    def __init__(self, ledger: Ledger, *, wake: Callable[[], None]) -> None:
        self._ledger = ledger
        self._wake = wake

    async def change(self, events: Sequence[JobSaved | JobDeleted]) -> None:
        """Take changes of jobs, in their order; those that are not newer than what is known do nothing."""
        if not events:
            return
        async with self._ledger.transaction() as database:
            now = await self._ledger.begin(database, stall=10 * STALL)
            batch = _Batch(await self._ledger.lock_jobs(database, {event.job_id for event in events}))
            for event in events:
                batch.take(event, now)
            ruling = batch.ruling.values()
            await self._ledger.insert_jobs(database, [each for each in ruling if each.job_id not in batch.known])
            await self._ledger.update_jobs(database, [each for each in ruling if each.job_id in batch.known])
            await self._ledger.insert_past(database, batch.past)
            if batch.ended:
                await self._ledger.end_unsettled(database, batch.ended)
        self._wake()

    async def request(self, requests: Sequence[RunNow]) -> None:
        """Give each request to run now its slot, its run and its trigger, once (S10); schedules are left alone."""
        for request in requests:
            async with self._ledger.transaction() as database:
                now = await self._ledger.begin(database, stall=10 * STALL)
                fate = await self._answer(database, request, now)
            if fate is not None:
                SLOTS.labels(*fate).inc()

    async def _answer(self, database: Connection, request: RunNow, now: datetime) -> tuple[str, str] | None:
        run_id = derive_request_run_id(request.request_id)
        gone = await self._ledger.is_deleted(database, request.job_id)
        fate = ("skipped", "ended") if gone else ("triggered", "run-now")
        slot = await self._free_instant(database, request, run_id)
        while slot is not None:
            row = (request.job_id, slot, run_id, request.job_version, *fate, now)
            if await self._ledger.insert_request(database, row):
                event = answer(request, run_id, slot, deleted=gone, now=now)
                await outbox.write(database, [event], source=SOURCE, at=now)
                return fate
            slot = await self._free_instant(database, request, run_id)
        return None

    async def _free_instant(self, database: Connection, request: RunNow, run_id: UUID) -> datetime | None:
        """Return the request's slot; None when it has one. Whole seconds are the schedule's, others one request's."""
        first = max(request.requested_at, truncate_to_second(request.requested_at) + INSTANT)
        taken = await self._ledger.taken_near(database, request.job_id, first)
        if run_id in taken.values():
            return None
        while first in taken:
            first += INSTANT
        return first
