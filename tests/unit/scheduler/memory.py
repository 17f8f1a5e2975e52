"""A ledger in memory that applies the domain's decisions as the scheduler does, and an independent grid of slots."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from scheduler.domain import Decision, JobVersion, Trigger, apply_deletion, apply_saving, decide
from shared import events
from shared.events.values import Schedule
from tests.contract.samples import SETTINGS, TENANT

JOB = UUID("0192f0c1-7b1e-7000-8000-000000000001")
MISSED_AFTER = timedelta(seconds=60)
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def job(schedule: Schedule, saved_at: datetime, **changes: Any) -> events.JobSaved:
    default = events.JobSaved(
        job_id=JOB,
        tenant_id=TENANT,
        version=1,
        state="active",
        state_reason=None,
        description="",
        settings=SETTINGS,
        schedule=schedule,
        catch_up="last",
        overlap="skip",
        saved_at=saved_at,
    )
    return replace(default, **changes)


@dataclass
class MemoryLedger:
    """One job's versions and slots."""

    current: JobVersion | None = None
    superseded: list[JobVersion] = field(default_factory=list)
    slots: dict[datetime, Decision] = field(default_factory=dict)

    def save(self, job: events.JobSaved) -> None:
        self._apply(apply_saving(self.current, job, "{}"))

    def delete(self, now: datetime) -> None:
        if self.current is not None:
            self._apply(apply_deletion(self.current, now))
            self.superseded = [replace(each, deleted=True) if each.next_slot else each for each in self.superseded]

    def _apply(self, change: Any) -> None:
        if change is not None:
            self.current = change.current
            if change.superseded is not None:
                self.superseded.append(change.superseded)

    def decide_batch(self, now: datetime, limit: int = 50) -> int:
        """Decide the due slots once, at most `limit` of each version; return the number of new fates."""
        before = len(self.slots)
        # As the scheduler does: one version after the other, since later versions count in what is caught up.
        for number, version in enumerate(self.superseded):
            if version.next_slot is not None:
                later = [*self.superseded[number + 1 :], *([self.current] if self.current else [])]
                self.superseded[number] = self._decide(version, now, limit, later)
                break
        if self.current is not None:
            self.current = self._decide(self.current, now, limit, [])
        return len(self.slots) - before

    def _decide(self, version: JobVersion, now: datetime, limit: int, later: list[JobVersion]) -> JobVersion:
        if not _is_due(version, now):
            return version
        decisions, slot = decide(version, now, missed_after=MISSED_AFTER, limit=limit, later=later)
        for decision in decisions:
            self.slots.setdefault(decision.slot, decision)
        return replace(version, next_slot=slot)

    def decide_all(self, now: datetime, limit: int = 50) -> None:
        while self._has_due(now):
            self.decide_batch(now, limit)

    def _has_due(self, now: datetime) -> bool:
        versions = [*self.superseded, *([self.current] if self.current else [])]
        return any(_is_due(each, now) for each in versions)

    def open_versions(self) -> list[JobVersion]:
        return [each for each in self.superseded if each.next_slot is not None]

    def fates(self) -> dict[datetime, str]:
        return {slot: self.slots[slot].reason for slot in sorted(self.slots)}

    def triggered_slots(self) -> list[datetime]:
        return [slot for slot in sorted(self.slots) if isinstance(self.slots[slot], Trigger)]


def _is_due(version: JobVersion, now: datetime) -> bool:
    wait = MISSED_AFTER if version.awaits_resumption else timedelta(0)
    return version.next_slot is not None and version.next_slot + wait <= now


def grid(schedule: Schedule, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the hours in [begin, end] at which an hourly, daily or one-time schedule on whole hours is due."""
    hour = begin.replace(minute=0, second=0, microsecond=0)
    while hour <= end:
        if hour >= begin and _is_due_at(schedule, hour):
            yield hour
        hour += HOUR


def _is_due_at(schedule: Schedule, hour: datetime) -> bool:
    start = schedule.start.replace(microsecond=0)
    if schedule.kind == "once":
        return hour == start
    if hour < start:
        return False
    if schedule.kind == "hourly":
        return hour.hour % schedule.every == 0
    return hour.hour == start.hour and (hour.date() - start.date()).days % schedule.every == 0
