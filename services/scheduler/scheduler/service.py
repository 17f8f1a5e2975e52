"""Deciding slots: one transaction a batch, in which fate, schedule and trigger stand or fall together."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from scheduler.domain import Run, Version, decide
from scheduler.emitter import Emitter
from scheduler.store import Fate, Ledger
from shared import outbox
from shared.errors import TransientError
from shared.lifecycle import wait_for_first
from shared.observe import NEXT_SLOT, SLOT_LATENESS, SLOTS, get_logger, observe_many
from shared.postgres import Connection
from shared.timetable import derive_run_id_text, format_slot

log = get_logger(__name__)
_LONGEST_SLEEP, _SHORTEST_SLEEP = 1.0, 0.02
SLOTS_AT_ONCE = 2000
"""Slots decided in one transaction, about: jobs with years of missed slots must not keep the others waiting."""
STALL = timedelta(seconds=1.5)
"""A scheduler that does nothing for so long in the midst of a transaction loses it, and others take its jobs."""


class Scheduler:
    """One of any number of equal workers over the same ledger."""

    def __init__(self, ledger: Ledger, *, missed_after: timedelta, batch: int) -> None:
        self._ledger = ledger
        self._missed_after = missed_after
        self._batch = batch
        self._woken = asyncio.Event()
        self._newest_first = False

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
                pause = _LONGEST_SLEEP / 4
            if pause:
                await wait_for_first(self._woken, stopping, seconds=pause)

    async def turn(self) -> int:
        """Decide the slots that are due of one batch of jobs; return how much there was to do."""
        async with self._ledger.transaction() as database:
            now = await self._ledger.begin(database, stall=STALL)
            ruling, places = await self._ledger.claim_due(database, now, self._batch, newest=self._newest_first)
            unsettled = await self._ledger.claim_unsettled(database, now, self._batch)
            claimed = len(ruling) + len(unsettled)
            if not claimed:
                return 0
            most = max(1, SLOTS_AT_ONCE // claimed)
            fates, following = self._decide(ruling, now, most)
            older = await self._decide_unsettled(database, unsettled, now, most) if unsettled else []
            new = await self._record(database, older + fates, now)
            await self._ledger.advance(database, places, following)
        count_fates(new, now)
        # While more waits than one batch, every second batch takes the newest: what has just fallen due comes first.
        self._newest_first = len(ruling) == self._batch and not self._newest_first
        return len(ruling) + len(older)

    def _decide(self, ruling: Sequence[Version], now: datetime, most: int) -> tuple[list[Fate], list[datetime | None]]:
        fates: list[Fate] = []
        following: list[datetime | None] = []
        for version in ruling:
            decisions, slot = decide(version, now, missed_after=self._missed_after, most=most)
            job = str(version.job_id)
            fates += [Fate(version, each, derive_run_id_text(job, format_slot(each.slot))) for each in decisions]
            following.append(slot)
        return fates, following

    async def _decide_unsettled(
        self, database: Connection, unsettled: Sequence[Version], now: datetime, most: int
    ) -> list[Fate]:
        known = await self._ledger.versions_of(database, {version.job_id for version in unsettled})
        fates: list[Fate] = []
        moved: list[tuple[UUID, int, datetime | None]] = []
        for version in unsettled:
            versions = known[version.job_id]
            if any(each.number < version.number and each.next_slot is not None for each in versions):
                continue  # in turn: which missed slots of the later ones run is judged after their elders'
            heirs = [each for each in versions if each.number > version.number]
            decisions, slot = decide(version, now, missed_after=self._missed_after, most=most, heirs=heirs)
            fates += [
                Fate(version, each, derive_run_id_text(str(version.job_id), format_slot(each.slot)))
                for each in decisions
            ]
            moved.append((version.job_id, version.number, slot))
        await self._ledger.settle(database, moved)
        return fates

    async def _record(self, database: Connection, fates: Sequence[Fate], now: datetime) -> Sequence[Fate]:
        new = await self._ledger.insert_slots(database, fates, now)
        emitter = Emitter(now)
        rows = [emitter.row(fate.version, fate.decision, fate.run_id) for fate in new]
        await outbox.write_rows(database, rows)
        return new

    async def _pause(self) -> float:
        first = await self._ledger.next_due()
        NEXT_SLOT.set(first[0].timestamp() if first else 0)
        # What is due and was not claimed is in another scheduler's hands: look again soon, without a storm of looks.
        return _LONGEST_SLEEP if first is None else min(_LONGEST_SLEEP, max(_SHORTEST_SLEEP, first[1]))


def count_fates(fates: Sequence[Fate], now: datetime) -> None:
    """Count decided slots, and how late those were that run."""
    runs = [fate.decision for fate in fates if isinstance(fate.decision, Run)]
    skips = [fate.decision for fate in fates if not isinstance(fate.decision, Run)]
    for word, decisions in (("triggered", runs), ("skipped", skips)):
        for reason, count in Counter(decision.reason for decision in decisions).items():
            SLOTS.labels(word, reason).inc(count)
    observe_many(SLOT_LATENESS, [max(0.0, (now - decision.slot).total_seconds()) for decision in runs])
