"""Applying the messages of other services: changes of jobs, and requests to run one now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from scheduler.domain import MICROSECOND, JobVersion, apply_deletion, apply_saving
from scheduler.emitter import SOURCE, to_request_event, to_settings_json
from scheduler.service import STALL_LIMIT
from scheduler.store import Ledger
from shared import outbox
from shared.events import JobDeleted, JobSaved, JobTombstone, RunNow
from shared.observe import SLOTS
from shared.postgres import Connection
from shared.timetable import derive_request_run_id, truncate_to_second

JobChange = JobSaved | JobDeleted | JobTombstone
"""What `sluice.jobs` says of a job."""


@dataclass
class _ChangeBatch:
    """The effect of a batch of events on the versions of their jobs."""

    known: dict[UUID, JobVersion]
    gone: set[UUID]
    current: dict[UUID, JobVersion] = field(default_factory=dict)
    superseded: list[JobVersion] = field(default_factory=list)
    deleted: set[UUID] = field(default_factory=set)
    unknown: dict[UUID, int] = field(default_factory=dict)
    forgotten: set[UUID] = field(default_factory=set)

    def apply(self, event: JobChange, now: datetime) -> None:
        """Apply one event, after those before it."""
        before = self.current.get(event.job_id) or self.known.get(event.job_id)
        change = None
        if isinstance(event, JobSaved):
            if event.job_id not in self.gone:
                change = apply_saving(before, event, to_settings_json(event.settings))
        else:
            change = apply_deletion(before, now) if before is not None else None
            self.deleted.add(event.job_id)
            self._note_unknown(event, is_known=before is not None)
        if change is not None:
            self.current[event.job_id] = change.current
            if change.superseded is not None:
                self.superseded.append(change.superseded)

    def _note_unknown(self, event: JobDeleted | JobTombstone, *, is_known: bool) -> None:
        """Remember the deletion of a job of which no version has arrived, until its tombstone."""
        if isinstance(event, JobTombstone):
            self.forgotten.add(event.job_id)
            self.unknown.pop(event.job_id, None)
        elif not is_known:
            self.gone.add(event.job_id)
            self.unknown[event.job_id] = event.version


class ChangeService:
    """Applies changes and requests, each idempotently; calls `wake` when schedules have changed."""

    def __init__(self, ledger: Ledger, *, wake: Callable[[], None]) -> None:
        self._ledger = ledger
        self._wake = wake

    async def apply_changes(self, events: Sequence[JobChange]) -> None:
        """Apply changes of jobs in their order; those that are not newer than the known version have no effect.

        Raises PostgresUnavailable or LedgerChanged; the caller applies all of them again.
        """
        if not events:
            return
        async with self._ledger.transaction() as database:
            now = await self._ledger.begin(database, stall_limit=10 * STALL_LIMIT)
            job_ids = {event.job_id for event in events}
            known = await self._ledger.lock_jobs(database, job_ids)
            batch = _ChangeBatch(known, await self._ledger.find_deleted(database, job_ids))
            for event in events:
                batch.apply(event, now)
            current = batch.current.values()
            await self._ledger.insert_jobs(database, [each for each in current if each.job_id not in batch.known])
            await self._ledger.update_jobs(database, [each for each in current if each.job_id in batch.known])
            await self._ledger.insert_superseded(database, batch.superseded)
            await self._ledger.clear_faults(database, batch.current)
            if batch.deleted:
                await self._ledger.end_superseded(database, batch.deleted)
                await self._ledger.insert_deleted(database, batch.unknown)
                await self._ledger.forget_deleted(database, batch.forgotten)
        self._wake()

    async def apply_requests(self, requests: Sequence[RunNow]) -> None:
        """Give each run-now request its slot, run and trigger once (rule S10); schedules are unaffected.

        Raises PostgresUnavailable; the caller applies all of them again.
        """
        for request in requests:
            async with self._ledger.transaction() as database:
                now = await self._ledger.begin(database, stall_limit=10 * STALL_LIMIT)
                fate = await self._record_request(database, request, now)
            if fate is not None:
                SLOTS.labels(*fate).inc()

    async def _record_request(self, database: Connection, request: RunNow, now: datetime) -> tuple[str, str] | None:
        """Return the new fate and its reason, or None for a request that had one already."""
        run_id = derive_request_run_id(request.request_id)
        deleted = await self._ledger.is_deleted(database, request.job_id)
        fate, reason = ("skipped", "ended") if deleted else ("triggered", "run-now")
        slot = await self._find_free_slot(database, request, run_id)
        while slot is not None:
            inserted = await self._ledger.insert_slot(
                database,
                job_id=request.job_id,
                slot=slot,
                run_id=run_id,
                version=request.job_version,
                fate=fate,
                reason=reason,
                decided_at=now,
            )
            if inserted:
                event = to_request_event(request, run_id, slot, deleted=deleted, now=now)
                await outbox.write(database, [event], source=SOURCE, at=now)
                return fate, reason
            slot = await self._find_free_slot(database, request, run_id)
        return None

    async def _find_free_slot(self, database: Connection, request: RunNow, run_id: UUID) -> datetime | None:
        """Return a free instant for the request, never a whole second (the schedule's); None if it has a slot."""
        slot = max(request.requested_at, truncate_to_second(request.requested_at) + MICROSECOND)
        occupied = await self._ledger.find_slots_near(database, request.job_id, slot)
        if run_id in occupied.values():
            return None
        while slot in occupied:
            slot += MICROSECOND
        return slot
