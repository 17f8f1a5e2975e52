"""What becomes of each slot: pure, time is an argument."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from shared.events import JobSaved, SlotSkipped, SlotTriggered
from shared.events.values import SlotCause, SlotSkipReason
from shared.timetable import due, next_slot, preview, run_id_of, whole_second

CATCH_UP_MOST = 100
"""The most missed slots that `catch_up: all` runs (S8)."""
SLOTS_AT_ONCE = 500
"""Slots of one job decided in one turn: a job with years of missed slots must not keep the others waiting."""
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Run:
    """A slot that is triggered, and why now."""

    slot: datetime
    reason: SlotCause


@dataclass(frozen=True, slots=True)
class Skip:
    """A slot that is not run, and why not."""

    slot: datetime
    reason: SlotSkipReason


Decision = Run | Skip
"""A slot's one fate."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A job in the ledger: no slot up to `decided_until` will be decided again; `next_slot` is the first after."""

    job: JobSaved
    next_slot: datetime | None
    decided_until: datetime
    deleted: bool = False


def decide(job: JobSaved, first: datetime, now: datetime, missed_after: timedelta) -> list[Decision]:
    """Return the fates of the slots from `first` to `now`, the oldest `SLOTS_AT_ONCE` of them."""
    slots = list(islice(due(job.schedule, first - _INSTANT, now), SLOTS_AT_ONCE))
    return [_fate(job, slot, now, missed_after) for slot in slots]


def _fate(job: JobSaved, slot: datetime, now: datetime, missed_after: timedelta) -> Decision:
    at_once = job.schedule.immediately and slot == whole_second(job.schedule.start)
    # A one-time job that starts at once is saved already suspended (J6), and its one slot runs all the same.
    if job.state == "suspended" and not (at_once and job.schedule.kind == "once"):
        return Skip(slot, "suspended")
    if at_once:
        return Run(slot, "immediate")
    if now - slot <= missed_after:
        return Run(slot, "schedule")
    return Run(slot, "catch-up") if _caught_up(job, slot, now) else Skip(slot, "missed")


def _caught_up(job: JobSaved, slot: datetime, now: datetime) -> bool:
    """Return whether a missed slot is run late: only the newest (`last`), the newest hundred (`all`), or never."""
    if job.catch_up == "none":
        return False
    newer = 1 if job.catch_up == "last" else CATCH_UP_MOST
    following = preview(job.schedule, newer, slot)
    return len(following) < newer or following[-1] > now


def after_decisions(entry: Entry, decisions: list[Decision]) -> Entry:
    """Return the entry moved past the slots that have got their fate."""
    if not decisions:
        return entry
    last = decisions[-1].slot
    return Entry(entry.job, next_slot(entry.job.schedule, last), last)


def changed(entry: Entry | None, job: JobSaved, missed_after: timedelta) -> tuple[list[Decision], Entry] | None:
    """Take a job's new version: settle what was due before it by the old one; None when it is not newer.

    The change counts from the second in which it was saved: slots before that belong to the version before, whoever
    decides them and however late; nothing that has its fate is decided again (J10).
    """
    since = whole_second(job.saved_at)
    if entry is None:
        # The ledger has never heard of this job: its slots begin with its saving, or with the ledger's.
        return [], _begun(job, since - _INSTANT)
    if entry.deleted or job.version <= entry.job.version:
        return None
    settled = list(_settled(entry, since, missed_after))
    until = max(settled[-1].slot if settled else entry.decided_until, entry.decided_until)
    return settled, _begun(job, max(until, since - _INSTANT))


def _settled(entry: Entry, since: datetime, missed_after: timedelta) -> Iterator[Decision]:
    slot = entry.next_slot
    while slot is not None and slot < since:
        yield _fate(entry.job, slot, since, missed_after)
        slot = next_slot(entry.job.schedule, slot)


def _begun(job: JobSaved, decided_until: datetime) -> Entry:
    return Entry(job, next_slot(job.schedule, decided_until), decided_until)


def deleted(entry: Entry, now: datetime) -> tuple[list[Decision], Entry]:
    """Take a job's deletion: what was due and not yet decided has ended with it."""
    slots = islice(due(entry.job.schedule, entry.decided_until, now), SLOTS_AT_ONCE) if entry.next_slot else ()
    decisions: list[Decision] = [Skip(slot, "ended") for slot in slots]
    return decisions, Entry(entry.job, None, decisions[-1].slot if decisions else entry.decided_until, deleted=True)


def to_event(job: JobSaved, decision: Decision, now: datetime) -> SlotTriggered | SlotSkipped:
    """Return what tells the others of a slot's fate."""
    run_id = run_id_of(job.job_id, decision.slot)
    match decision:
        case Run(slot, cause):
            return SlotTriggered(
                job_id=job.job_id,
                tenant_id=job.tenant_id,
                run_id=run_id,
                slot=slot,
                cause=cause,
                job_version=job.version,
                settings=job.settings,
                overlap=job.overlap,
                triggered_at=now,
            )
        case Skip(slot, reason):
            return SlotSkipped(
                job_id=job.job_id,
                tenant_id=job.tenant_id,
                run_id=run_id,
                slot=slot,
                reason=reason,
                job_version=job.version,
                skipped_at=now,
            )
