"""Deciding slots: each batch is one transaction that writes fates, next slots and triggers together, or nothing."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from scheduler.domain import JobVersion, Trigger, decide
from scheduler.emitter import Emitter
from scheduler.store import Due, Ledger, LedgerEntry
from shared import outbox
from shared.errors import TransientError
from shared.kafka.handling import describe_error
from shared.lifecycle import wait_for_first
from shared.observe import NEXT_SLOT, SCHEDULES_SET_ASIDE, SLOT_LATENESS, SLOTS, get_logger, observe_many
from shared.postgres import Connection
from shared.timetable import derive_run_id_text, format_slot

log = get_logger(__name__)
_LONGEST_SLEEP, _SHORTEST_SLEEP = 1.0, 0.02
SLOTS_PER_BATCH = 2000
"""About how many slots one transaction decides: jobs with years of missed slots must not delay the others."""
STALL_LIMIT = timedelta(seconds=1.5)
"""A scheduler that is idle for this long within a transaction loses it, and other schedulers decide its jobs."""
_MAX_FAULTS = 10
"""So many jobs in a row, and none that succeeds, point to a fault that is not theirs."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Locked versions with due slots: current ones, with the ctids of their rows, and superseded ones."""

    current: Sequence[JobVersion]
    ctids: Sequence[str]
    superseded: Sequence[JobVersion]


class Scheduler:
    """One of any number of equal workers on the same ledger."""

    def __init__(self, ledger: Ledger, *, missed_after: timedelta, batch: int) -> None:
        self._ledger = ledger
        self._missed_after = missed_after
        self._batch = batch
        self._woken = asyncio.Event()
        self._newest_first = False
        self._faults = 0

    def wake(self) -> None:
        """Check for due slots at once, because a schedule has changed."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Decide slots as they fall due until `stopping` is set; transient errors are retried."""
        while not stopping.is_set():
            self._woken.clear()
            try:
                pause = 0.0 if await self.decide_batch() else await self._measure_pause()
            except TransientError as error:
                log.warning("retrying to decide slots", error=str(error))
                pause = _LONGEST_SLEEP / 4
            if pause:
                await wait_for_first(self._woken, stopping, seconds=pause)

    async def decide_batch(self) -> int:
        """Decide the due slots of one batch of jobs; return the number of due jobs and of superseded slots decided.

        A job that cannot be decided is set aside, and the others are decided. Raises PostgresUnavailable; nothing is
        decided then.
        """
        try:
            return await self._decide_together()
        except TransientError:
            raise
        except Exception as error:
            log.warning("batch failed, deciding its jobs one by one", error=describe_error(error))
            return await self._decide_separately(error)

    async def _decide_together(self) -> int:
        async with self._ledger.transaction() as database:
            now = await self._ledger.begin(database, stall_limit=STALL_LIMIT)
            current, ctids = await self._ledger.claim_due(database, now, self._batch, newest=self._newest_first)
            suspended, suspended_ctids = await self._ledger.claim_suspended(database, self._to_due(now), self._batch)
            superseded = await self._ledger.claim_superseded(database, now, self._batch)
            claim = Claim(current + suspended, ctids + suspended_ctids, superseded)
            new, decided = await self._decide(database, now, claim)
        count_decisions(new, now)
        # With more than one batch due, every second batch takes the newest: slots that are due now do not wait behind
        # slots that were missed long ago.
        self._newest_first = len(current) == self._batch and not self._newest_first
        return decided

    async def _decide_separately(self, cause: Exception) -> int:
        """Decide jobs one by one, and set those aside that fail; raise `cause` when single jobs are not at fault."""
        async with self._ledger.transaction() as database:
            now = await self._ledger.begin(database, stall_limit=STALL_LIMIT)
            job_ids = await self._ledger.find_due_jobs(database, self._to_due(now), self._batch)
        decided = failed = 0
        for job_id in job_ids:
            try:
                decided += await self._decide_job(job_id)
            except TransientError:
                raise
            except Exception as error:
                failed += 1
                if failed > _MAX_FAULTS and not decided:
                    raise cause from None
                await self._ledger.save_fault(job_id, describe_error(error))
                log.exception("job set aside, it cannot be decided", job_id=str(job_id))
        return decided

    async def _decide_job(self, job_id: UUID) -> int:
        async with self._ledger.transaction() as database:
            now = await self._ledger.begin(database, stall_limit=STALL_LIMIT)
            claim = Claim(*await self._ledger.claim_job(database, job_id, self._to_due(now)))
            new, decided = await self._decide(database, now, claim)
            await self._ledger.clear_faults(database, [job_id])
        count_decisions(new, now)
        return decided

    async def _decide(self, database: Connection, now: datetime, claim: Claim) -> tuple[Sequence[LedgerEntry], int]:
        """Decide what was claimed; return the new entries, and the number of current jobs and superseded slots."""
        claimed = len(claim.current) + len(claim.superseded)
        if not claimed:
            return [], 0
        limit = max(1, SLOTS_PER_BATCH // claimed)
        entries, next_slots = self._decide_current(claim.current, now, limit)
        older = await self._decide_superseded(database, claim.superseded, now, limit) if claim.superseded else []
        new = await self._record(database, older + entries, now)
        await self._ledger.advance(database, claim.ctids, next_slots)
        if self._faults:
            await self._ledger.clear_faults(database, {each.job_id for each in (*claim.current, *claim.superseded)})
        return new, len(claim.current) + len(older)

    def _to_due(self, now: datetime) -> Due:
        return Due(now, now - self._missed_after)

    def _decide_current(
        self, versions: Sequence[JobVersion], now: datetime, limit: int
    ) -> tuple[list[LedgerEntry], list[datetime | None]]:
        entries: list[LedgerEntry] = []
        next_slots: list[datetime | None] = []
        for version in versions:
            decisions, slot = decide(version, now, missed_after=self._missed_after, limit=limit)
            job = str(version.job_id)
            entries += [
                LedgerEntry(version, each, derive_run_id_text(job, format_slot(each.slot))) for each in decisions
            ]
            next_slots.append(slot)
        return entries, next_slots

    async def _decide_superseded(
        self, database: Connection, superseded: Sequence[JobVersion], now: datetime, limit: int
    ) -> list[LedgerEntry]:
        known = await self._ledger.find_versions(database, {version.job_id for version in superseded})
        entries: list[LedgerEntry] = []
        decided: list[tuple[JobVersion, datetime | None]] = []
        for version in superseded:
            versions = known[version.job_id]
            if any(each.number < version.number and each.next_slot is not None for each in versions):
                continue  # oldest first: which missed slots of a later version run depends on the earlier ones
            later = [each for each in versions if each.number > version.number]
            decisions, slot = decide(version, now, missed_after=self._missed_after, limit=limit, later=later)
            job = str(version.job_id)
            entries += [
                LedgerEntry(version, each, derive_run_id_text(job, format_slot(each.slot))) for each in decisions
            ]
            decided.append((version, slot))
        await self._ledger.advance_superseded(database, decided)
        return entries

    async def _record(
        self, database: Connection, entries: Sequence[LedgerEntry], now: datetime
    ) -> Sequence[LedgerEntry]:
        new = await self._ledger.insert_slots(database, entries, now)
        emitter = Emitter(now)
        rows = [emitter.to_row(entry.version, entry.decision, entry.run_id) for entry in new]
        await outbox.write_rows(database, rows)
        return new

    async def _measure_pause(self) -> float:
        next_due = await self._ledger.find_next_due(self._missed_after)
        self._faults = next_due.faults
        SCHEDULES_SET_ASIDE.set(next_due.faults)
        NEXT_SLOT.set(next_due.slot.timestamp() if next_due.slot else 0)
        # A slot that is due and could not be claimed is locked by another scheduler: check again soon, but not at once.
        return _LONGEST_SLEEP if next_due.slot is None else min(_LONGEST_SLEEP, max(_SHORTEST_SLEEP, next_due.seconds))


def count_decisions(entries: Sequence[LedgerEntry], now: datetime) -> None:
    """Count decided slots in the metrics, and how late the triggered ones were at `now`."""
    triggers = [entry.decision for entry in entries if isinstance(entry.decision, Trigger)]
    skips = [entry.decision for entry in entries if not isinstance(entry.decision, Trigger)]
    for fate, decisions in (("triggered", triggers), ("skipped", skips)):
        for reason, count in Counter(decision.reason for decision in decisions).items():
            SLOTS.labels(fate, reason).inc(count)
    observe_many(SLOT_LATENESS, [max(0.0, (now - decision.slot).total_seconds()) for decision in triggers])
