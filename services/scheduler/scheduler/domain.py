"""What becomes of each slot: pure, time is an argument.

A job's versions follow each other without a gap: each rules the slots from its saving to the next one's. One that is
replaced, or whose job is deleted, stays among the past versions until its slots have a fate; so an edit neither loses a
slot that was due before it nor fires one again (J10).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from shared.events import JobSaved, Schedule
from shared.events.values import CatchUp, JobState, Overlap, SlotCause, SlotSkipReason
from shared.timetable import find_next_slot, preview_slots, truncate_to_second

CATCH_UP_MOST = 100
"""The most missed slots that `catch_up: all` runs (S8)."""
INSTANT = timedelta(microseconds=1)


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


# One is made for each slot; freezing would take seven times as long.
@dataclass(slots=True)
class Version:
    """One version of a job, as far as its slots need it: it rules those in [since, until). Never changed in place.

    `next_slot` is the first of them that has no fate yet, None when there is none. `settings` are the frozen settings
    as JSON, as they go into triggers; nothing here looks inside.
    """

    job_id: UUID
    tenant_id: UUID
    number: int
    state: JobState
    schedule: Schedule
    catch_up: CatchUp
    overlap: Overlap
    settings: str
    since: datetime
    until: datetime | None
    deleted: bool
    next_slot: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a change makes of a job: the version that rules from now on, and what the one before has become."""

    ruling: Version
    past: Version | None


def decide(
    version: Version, now: datetime, *, missed_after: timedelta, most: int, heirs: Sequence[Version] = ()
) -> tuple[list[Decision], datetime | None]:
    """Return the fates of a version's open slots up to `now`, the oldest `most` of them, and the slot after these.

    `heirs` are the job's later versions, oldest first: what they would run counts when missed slots are caught up.
    """
    slots: list[datetime] = []
    slot, end = version.next_slot, _end(version, now)
    while slot is not None and slot <= end and len(slots) < most:
        slots.append(slot)
        slot = find_next_slot(version.schedule, slot)
    if slot is not None and version.until is not None and slot >= version.until:
        slot = None
    return _fates(version, slots, now, missed_after, heirs), slot


def _end(version: Version, now: datetime) -> datetime:
    return now if version.until is None else min(now, version.until - INSTANT)


def _fates(
    version: Version, slots: Sequence[datetime], now: datetime, missed_after: timedelta, heirs: Sequence[Version]
) -> list[Decision]:
    if version.deleted:
        return [Skip(slot, "ended") for slot in slots]
    at_once = immediate_slot(version.schedule)
    if len(slots) == 1 and version.state == "active" and slots[0] != at_once and now - slots[0] <= missed_after:
        return [Run(slots[0], "schedule")]  # nearly always
    fates: list[Decision] = []
    oldest_run: int | None = None
    for number, slot in enumerate(slots):
        if slot == at_once and (version.state == "active" or version.schedule.kind == "once"):
            # A one-time job that starts at once is saved already suspended (J6), and its one slot runs all the same.
            fates.append(Run(slot, "immediate"))
        elif version.state == "suspended":
            fates.append(Skip(slot, "suspended"))
        elif now - slot <= missed_after:
            fates.append(Run(slot, "schedule"))
        else:
            if oldest_run is None:
                oldest_run = bisect_left(slots, True, key=lambda each: _is_caught_up(version, each, now, heirs))
            fates.append(Run(slot, "catch-up") if number >= oldest_run else Skip(slot, "missed"))
    return fates


def _is_caught_up(version: Version, slot: datetime, now: datetime, heirs: Sequence[Version]) -> bool:
    """Return whether a missed slot is run late: the newest (`last`), one of the newest hundred (`all`), or none.

    Nothing begins late for a job that has been suspended or deleted since.
    """
    if version.catch_up == "none" or (heirs and (heirs[-1].state == "suspended" or heirs[-1].deleted)):
        return False
    room = 1 if version.catch_up == "last" else CATCH_UP_MOST
    for each in (version, *heirs):
        if each.state == "active":
            after = max(slot, each.since - INSTANT)
            room -= sum(following <= _end(each, now) for following in preview_slots(each.schedule, room, after))
        if room <= 0:
            return False
    return True


def immediate_slot(schedule: Schedule) -> datetime | None:
    """Return the slot that starting immediately makes (S4), None for a schedule that does not."""
    return truncate_to_second(schedule.start) if schedule.immediately else None


def begun(job: JobSaved, settings: str, before: Version | None) -> Version:
    """Return the version that a saved job makes, after the version before it, if the ledger knows one."""
    since = _since(job, before)
    return Version(
        job.job_id,
        job.tenant_id,
        job.version,
        job.state,
        job.schedule,
        job.catch_up,
        job.overlap,
        settings,
        since,
        None,
        False,
        find_next_slot(job.schedule, since - INSTANT),
    )


def _since(job: JobSaved, before: Version | None) -> datetime:
    """Return from when a version rules: from its saving; one that starts immediately, from its slot of that second."""
    at_once = immediate_slot(job.schedule)
    fresh = (
        at_once is not None
        and at_once >= truncate_to_second(job.saved_at)
        and (before is None or immediate_slot(before.schedule) != at_once)
    )
    since = min(at_once, job.saved_at) if fresh and at_once is not None else job.saved_at
    # A clock that was set back between two savings must not give a slot to both.
    return since if before is None else max(since, before.since)


def changed(before: Version | None, job: JobSaved, settings: str) -> Change | None:
    """Take a job's new version; None when it is not newer than what is known, or the job is deleted."""
    if before is not None and (before.deleted or job.version <= before.number):
        return None
    ruling = begun(job, settings, before)
    return Change(ruling, None if before is None else replaced(before, ruling.since, deleted=False))


def replaced(version: Version, until: datetime, *, deleted: bool) -> Version:
    """Return a version that rules no longer; it has no next slot when all its slots have their fate."""
    left = version.next_slot if version.next_slot is not None and version.next_slot < until else None
    return replace(version, until=until, deleted=deleted, next_slot=left)


def deleted(before: Version, now: datetime) -> Change | None:
    """Take a job's deletion: slots that were due and have no fate have ended with it; None when it is known."""
    if before.deleted:
        return None
    # `until` is exclusive, and a slot of this very instant was due.
    return Change(replace(before, deleted=True, next_slot=None), replaced(before, now + INSTANT, deleted=True))
