"""Deciding slots: one transaction a batch, in which fate, schedule and trigger stand or fall together."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from scheduler.domain import Decision, Entry, Run, after_decisions, changed, decide, deleted, to_event
from scheduler.store import Ledger
from shared.errors import TransientError
from shared.events import JobDeleted, JobSaved
from shared.lifecycle import first_of
from shared.observe import SCHEDULED_JOBS, SLOT_LATENESS, SLOTS, logger
from shared.postgres import Connection

log = logger(__name__)
_LONGEST_SLEEP = 1.0


class Scheduler:
    """One of any number of equal workers over the same ledger."""

    def __init__(self, ledger: Ledger, *, missed_after: timedelta, batch: int) -> None:
        self._ledger = ledger
        self._missed_after = missed_after
        self._batch = batch
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look at once: a schedule has changed."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Decide slots as they fall due, until `stopping` is set."""
        while not stopping.is_set():
            self._woken.clear()
            try:
                pause = 0.0 if await self.turn() else await self._pause()
            except TransientError as error:
                log.warning("cannot decide slots, trying again", error=str(error))
                pause = _LONGEST_SLEEP
            if pause:
                await first_of(self._woken, stopping, seconds=pause)

    async def turn(self) -> int:
        """Decide the slots that are due of one batch of jobs; return the number of jobs."""
        async with self._ledger.transaction() as database:
            now = await self._ledger.now(database)
            claimed = await self._ledger.claim_due(database, now, self._batch)
            decisions = {entry.job.job_id: self._decide(entry, now) for entry in claimed}
            entries = {entry.job.job_id: after_decisions(entry, decisions[entry.job.job_id]) for entry in claimed}
            if claimed:
                await self._record(database, entries, decisions, now)
                await self._ledger.advance(database, entries)
        _count(decisions, now)
        return len(claimed)

    async def change(self, changes: Sequence[JobSaved | JobDeleted]) -> None:
        """Take changes of jobs, in their order; those that are not newer than what is known do nothing."""
        async with self._ledger.transaction() as database:
            known = await self._ledger.lock_jobs(database, {change.job_id for change in changes})
            now = await self._ledger.now(database)
            decisions: dict[UUID, list[Decision]] = {}
            entries: dict[UUID, Entry] = {}
            for change in changes:
                entry = entries.get(change.job_id) or known.get(change.job_id)
                if (taken := self._take(entry, change, now)) is not None:
                    decisions.setdefault(change.job_id, []).extend(taken[0])
                    # Slots settled by a change are events of the version before it.
                    if taken[0] and entry is not None:
                        await self._record(database, {change.job_id: entry}, {change.job_id: taken[0]}, now)
                    entries[change.job_id] = taken[1]
            await self._ledger.save_jobs(database, list(entries.values()))
        _count(decisions, now)
        self.wake()

    def _decide(self, entry: Entry, now: datetime) -> list[Decision]:
        assert entry.next_slot is not None
        return decide(entry.job, entry.next_slot, now, self._missed_after)

    def _take(
        self, entry: Entry | None, change: JobSaved | JobDeleted, now: datetime
    ) -> tuple[list[Decision], Entry] | None:
        if isinstance(change, JobSaved):
            return changed(entry, change, self._missed_after)
        return deleted(entry, now) if entry is not None and not entry.deleted else None

    async def _record(
        self,
        database: Connection,
        entries: Mapping[UUID, Entry],
        decisions: Mapping[UUID, Sequence[Decision]],
        now: datetime,
    ) -> None:
        decided = [(job_id, decision) for job_id, each in decisions.items() for decision in each]
        new = await self._ledger.insert_slots(database, decided, now)
        events = [
            to_event(entries[job_id].job, decision, now)
            for job_id, decision in decided
            if (job_id, decision.slot) in new
        ]
        await self._ledger.write_events(database, events, now)

    async def _pause(self) -> float:
        SCHEDULED_JOBS.set(await self._ledger.count_scheduled())
        seconds = await self._ledger.seconds_to_next()
        return _LONGEST_SLEEP if seconds is None else min(_LONGEST_SLEEP, max(0.0, seconds))


def _count(decisions: Mapping[UUID, Sequence[Decision]], now: datetime) -> None:
    for each in decisions.values():
        for decision in each:
            run = isinstance(decision, Run)
            SLOTS.labels("triggered" if run else "skipped", decision.reason).inc()
            if run:
                SLOT_LATENESS.observe(max(0.0, (now - decision.slot).total_seconds()))
