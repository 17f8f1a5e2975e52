"""A ledger in memory that does with the domain's answers what the scheduler does, and a second opinion on them."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from scheduler.domain import Decision, Run, Version, changed, decide, deleted
from shared import events
from shared.events.values import Schedule
from tests.contract.samples import SETTINGS, TENANT

JOB = UUID("0192f0c1-7b1e-7000-8000-000000000001")
MISSED_AFTER = timedelta(seconds=60)
HOUR, DAY, SECOND = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def job(schedule: Schedule, saved_at: datetime, **changes: Any) -> events.JobSaved:
    plain = events.JobSaved(
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
    return replace(plain, **changes)


@dataclass
class Memory:
    """One job's versions and slots."""

    ruling: Version | None = None
    past: list[Version] = field(default_factory=list)
    slots: dict[datetime, Decision] = field(default_factory=dict)

    def save(self, told: events.JobSaved) -> None:
        self._take(changed(self.ruling, told, "{}"))

    def delete(self, now: datetime) -> None:
        if self.ruling is not None:
            self._take(deleted(self.ruling, now))
            self.past = [replace(each, deleted=True) if each.next_slot else each for each in self.past]

    def _take(self, change: Any) -> None:
        if change is not None:
            self.ruling = change.ruling
            if change.past is not None:
                self.past.append(change.past)

    def turn(self, now: datetime, most: int = 50) -> int:
        """Decide once what is due; return the number of slots that had no fate before."""
        before = len(self.slots)
        # As the scheduler does: one version after the other, for those after it count in what is caught up.
        for number, version in enumerate(self.past):
            if version.next_slot is not None:
                heirs = [*self.past[number + 1 :], *([self.ruling] if self.ruling else [])]
                self.past[number] = self._decided(version, now, most, heirs)
                break
        if self.ruling is not None:
            self.ruling = self._decided(self.ruling, now, most, [])
        return len(self.slots) - before

    def _decided(self, version: Version, now: datetime, most: int, heirs: list[Version]) -> Version:
        if version.next_slot is None or version.next_slot > now:
            return version
        decisions, slot = decide(version, now, missed_after=MISSED_AFTER, most=most, heirs=heirs)
        for decision in decisions:
            self.slots.setdefault(decision.slot, decision)
        return replace(version, next_slot=slot)

    def settle(self, now: datetime, most: int = 50) -> None:
        while self._is_due(now):
            self.turn(now, most)

    def _is_due(self, now: datetime) -> bool:
        versions = [*self.past, *([self.ruling] if self.ruling else [])]
        return any(each.next_slot is not None and each.next_slot <= now for each in versions)

    def open(self) -> list[Version]:
        return [each for each in self.past if each.next_slot is not None]

    def fates(self) -> dict[datetime, str]:
        return {slot: self.slots[slot].reason for slot in sorted(self.slots)}

    def runs(self) -> list[datetime]:
        return [slot for slot in sorted(self.slots) if isinstance(self.slots[slot], Run)]


def grid(schedule: Schedule, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the hours in [begin, end] at which an hourly, daily or one-time schedule on whole hours is due."""
    hour = begin.replace(minute=0, second=0, microsecond=0)
    while hour <= end:
        if hour >= begin and _fires(schedule, hour):
            yield hour
        hour += HOUR


def _fires(schedule: Schedule, hour: datetime) -> bool:
    start = schedule.start.replace(microsecond=0)
    if schedule.kind == "once":
        return hour == start
    if hour < start:
        return False
    if schedule.kind == "hourly":
        return hour.hour % schedule.every == 0
    return hour.hour == start.hour and (hour.date() - start.date()).days % schedule.every == 0
