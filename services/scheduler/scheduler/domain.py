"""What happens to each slot: pure functions that take the time as an argument.

The versions of a job follow each other without a gap, and each decides the slots from its saving to the next one's. A
version that was superseded by an edit or a deletion is kept until all its slots have a fate, so an edit neither loses a
slot that was due before it nor triggers one again (rule J10).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from shared.events import JobSaved, Schedule
from shared.events.values import CatchUp, JobState, Overlap, SlotCause, SlotSkipReason
from shared.timetable import find_next_slot, preview_slots, truncate_to_second

MAX_CATCH_UP = 100
"""How many missed slots `catch_up: all` runs (rule S8)."""
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Trigger:
    """The decision to run a slot, and why it runs now."""

    slot: datetime
    reason: SlotCause


@dataclass(frozen=True, slots=True)
class Skip:
    """The decision not to run a slot, and why not."""

    slot: datetime
    reason: SlotSkipReason


Decision = Trigger | Skip
"""The one fate of a slot."""


# One is created for each decided slot, and a frozen class takes seven times as long.
@dataclass(slots=True)
class JobVersion:
    """One version of a job, which decides the slots in [since, until). Treat it as immutable.

    `next_slot` is the first of these slots without a fate, or None. `settings` are the frozen settings as the JSON text
    of triggers; the scheduler does not read them. `until` is None for the current version.
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

    @property
    def awaits_resumption(self) -> bool:
        """Whether its due slots stay open for a while: a resumption that was saved before them may be on its way."""
        starts_now = self.schedule.kind == "once" and self.schedule.immediately
        return self.state == "suspended" and self.until is None and not starts_now


@dataclass(frozen=True, slots=True)
class VersionChange:
    """The effect of an event on a job: its current version, and the version that this one superseded, if any."""

    current: JobVersion
    superseded: JobVersion | None


def decide(
    version: JobVersion, now: datetime, *, missed_after: timedelta, limit: int, later: Sequence[JobVersion] = ()
) -> tuple[list[Decision], datetime | None]:
    """Decide a version's open slots up to `now`, the oldest `limit` of them; return the decisions and the next slot.

    `later` are the job's later versions, oldest first: slots that these run count when missed slots are caught up.
    A suspended job's slots are decided once they have been due for `missed_after`.
    """
    slots: list[datetime] = []
    slot = version.next_slot
    end = _last_instant(version, now - missed_after if version.awaits_resumption else now)
    while slot is not None and slot <= end and len(slots) < limit:
        slots.append(slot)
        slot = find_next_slot(version.schedule, slot)
    if slot is not None and version.until is not None and slot >= version.until:
        slot = None
    return _decide_slots(version, slots, now, missed_after, later), slot


def _last_instant(version: JobVersion, now: datetime) -> datetime:
    return now if version.until is None else min(now, version.until - MICROSECOND)


def _decide_slots(
    version: JobVersion,
    slots: Sequence[datetime],
    now: datetime,
    missed_after: timedelta,
    later: Sequence[JobVersion],
) -> list[Decision]:
    if version.deleted:
        return [Skip(slot, "ended") for slot in slots]
    immediate = find_immediate_slot(version.schedule)
    if len(slots) == 1 and version.state == "active" and slots[0] != immediate and now - slots[0] <= missed_after:
        return [Trigger(slots[0], "schedule")]  # by far the most frequent case
    decisions: list[Decision] = []
    first_caught_up: int | None = None
    for number, slot in enumerate(slots):
        if slot == immediate and (version.state == "active" or version.schedule.kind == "once"):
            # A one-time job that starts immediately is saved suspended (J6), and its only slot runs all the same.
            decisions.append(Trigger(slot, "immediate"))
        elif version.state == "suspended":
            decisions.append(Skip(slot, "suspended"))
        elif now - slot <= missed_after:
            decisions.append(Trigger(slot, "schedule"))
        else:
            if first_caught_up is None:
                first_caught_up = bisect_left(slots, True, key=lambda each: _is_caught_up(version, each, now, later))
            decisions.append(Trigger(slot, "catch-up") if number >= first_caught_up else Skip(slot, "missed"))
    return decisions


def _is_caught_up(version: JobVersion, slot: datetime, now: datetime, later: Sequence[JobVersion]) -> bool:
    """Return whether a missed slot runs late: the newest (`last`), one of the newest hundred (`all`), or none.

    No slot runs late for a job that has been suspended or deleted since.
    """
    if version.catch_up == "none" or (later and (later[-1].state == "suspended" or later[-1].deleted)):
        return False
    remaining = 1 if version.catch_up == "last" else MAX_CATCH_UP
    for each in (version, *later):
        if each.state == "active":
            after = max(slot, each.since - MICROSECOND)
            following = preview_slots(each.schedule, remaining, after)
            remaining -= sum(newer <= _last_instant(each, now) for newer in following)
        if remaining <= 0:
            return False
    return True


def find_immediate_slot(schedule: Schedule) -> datetime | None:
    """Return the slot of a schedule that starts immediately (rule S4), or None."""
    return truncate_to_second(schedule.start) if schedule.immediately else None


def create_version(job: JobSaved, settings: str, before: JobVersion | None) -> JobVersion:
    """Return the version that a saved job becomes; `before` is the version that it supersedes, if there is one."""
    since = _effective_since(job, before)
    return JobVersion(
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
        find_next_slot(job.schedule, since - MICROSECOND),
    )


def _effective_since(job: JobSaved, before: JobVersion | None) -> datetime:
    """Return when a version takes effect: when it was saved; with an immediate start, at the slot of that second."""
    immediate = find_immediate_slot(job.schedule)
    starts_now = (
        immediate is not None
        and immediate >= truncate_to_second(job.saved_at)
        and (before is None or find_immediate_slot(before.schedule) != immediate)
    )
    since = min(immediate, job.saved_at) if starts_now and immediate is not None else job.saved_at
    # A clock that was set back between two savings must not give the same slot to both versions.
    return since if before is None else max(since, before.since)


def apply_saving(before: JobVersion | None, job: JobSaved, settings: str) -> VersionChange | None:
    """Return the effect of a saved job; None if its version is not newer than `before`, or the job is deleted."""
    if before is not None and (before.deleted or job.version <= before.number):
        return None
    current = create_version(job, settings, before)
    return VersionChange(current, None if before is None else supersede(before, current.since, deleted=False))


def apply_deletion(before: JobVersion, now: datetime) -> VersionChange | None:
    """Return the effect of a job's deletion, which ends its due slots without a fate; None if it is deleted already."""
    if before.deleted:
        return None
    # `until` is exclusive, and a slot at this very instant was due.
    return VersionChange(
        replace(before, deleted=True, next_slot=None), supersede(before, now + MICROSECOND, deleted=True)
    )


def supersede(version: JobVersion, until: datetime, *, deleted: bool) -> JobVersion:
    """Return a version that decides slots before `until` only; its next slot is None if all of these have a fate."""
    open_slot = version.next_slot if version.next_slot is not None and version.next_slot < until else None
    return replace(version, until=until, deleted=deleted, next_slot=open_slot)
