"""Rules S7, S8, J5 and J10 over random sequences of edits, suspensions, resumptions, outages and late events."""

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from shared import events
from shared.events.values import Schedule
from tests.support.properties import many_examples
from tests.unit.scheduler.memory import DAY, HOUR, MISSED_AFTER, SECOND, MemoryLedger, at, grid, job

BEGIN = at("2026-11-24T12:00")
END = BEGIN + 6 * DAY
NEWEST = {"none": 0, "last": 1, "all": 100}
moments = some.integers(0, 5 * 24 * 3600 * 4).map(lambda quarter: BEGIN + quarter * SECOND / 4)
near_hours = some.builds(
    lambda hour, second: BEGIN + hour * HOUR + second * SECOND, some.integers(0, 5 * 24), some.integers(-5, 5)
)
schedules = some.builds(
    Schedule,
    kind=some.sampled_from(["hourly", "daily"]),
    start=some.integers(-200, 100).map(lambda hour: BEGIN + hour * HOUR),
    every=some.integers(1, 7),
)


@some.composite
def histories(draw: Any) -> list[events.JobSaved]:
    """Draw the versions of a job, in order."""
    instants = sorted(draw(some.lists(moments | near_hours, min_size=1, max_size=6, unique=True)))
    versions: list[events.JobSaved] = []
    for number, moment in enumerate(instants, 1):
        schedule = draw(schedules)
        if versions and draw(some.booleans()):
            schedule = versions[-1].schedule
        versions.append(
            job(
                schedule,
                moment,
                version=number,
                state=draw(some.sampled_from(["active", "active", "suspended"])),
                catch_up=draw(some.sampled_from(["last", "all", "none"])),
            )
        )
    return versions


@dataclass
class ExpectedVersion:
    """The oracle's view of one version: its slots, computed hour by hour."""

    job: events.JobSaved
    slots: list[datetime]


def expected_versions(saved: list[events.JobSaved]) -> list[ExpectedVersion]:
    ends = [following.saved_at for following in saved[1:]] + [END + SECOND]
    return [
        ExpectedVersion(each, [slot for slot in grid(each.schedule, each.saved_at, END) if slot < end])
        for each, end in zip(saved, ends, strict=True)
    ]


def expected_reason(known: list[ExpectedVersion], slot: datetime, own: ExpectedVersion, now: datetime) -> str:
    """Return the reason of a slot's fate when it is decided at `now` from the versions known then."""
    if own.job.state == "suspended":
        return "suspended"
    if now - slot <= MISSED_AFTER:
        return "schedule"
    newer = sum(
        bisect_right(each.slots, now) - bisect_right(each.slots, slot) for each in known if each.job.state == "active"
    )
    late = known[-1].job.state == "active" and newer < NEWEST[own.job.catch_up]
    return "catch-up" if late else "missed"


@many_examples(2)
@given(histories(), some.lists(moments | near_hours, max_size=25), some.sampled_from([1, 3, 50]))
def test_S7_S8_J5_J10_every_slot_has_the_one_fate_that_the_rules_define(
    saved: list[events.JobSaved], decisions: list[datetime], limit: int
) -> None:
    ledger, reasons, versions = MemoryLedger(), dict[datetime, str](), expected_versions(saved)
    savings = [(each.saved_at, each) for each in saved]
    steps = sorted([*savings, *((instant, None) for instant in decisions)], key=lambda step: step[0])
    for number, (now, version) in enumerate([*steps, (END, None)]):
        if version is not None:
            ledger.save(version)
            continue
        ledger.decide_all(now, limit)
        arrived = {each.version for _, each in steps[:number] if each is not None}
        known = [each for each in versions if each.job.version in arrived]
        chain = extend_last(known, now) if known else []
        for each in known:
            is_open = each is known[-1] and each.job.state == "suspended"
            for slot in each.slots:
                if slot + (MISSED_AFTER if is_open else timedelta(0)) <= now and slot not in reasons:
                    reasons[slot] = expected_reason(chain, slot, each, now)
    assert ledger.fates() == dict(sorted(reasons.items()))


def extend_last(known: list[ExpectedVersion], now: datetime) -> list[ExpectedVersion]:
    """Extend the last known version to `now`: its slots continue until the next version arrives."""
    last = known[-1].job
    return [*known[:-1], ExpectedVersion(last, list(grid(last.schedule, last.saved_at, now)))]


@given(
    histories(),
    some.lists(some.integers(0, 9000).map(lambda quarter: quarter * SECOND / 4), min_size=6, max_size=6),
    some.lists(moments | near_hours, max_size=25),
)
def test_S7_J10_late_events_lose_no_slot_and_trigger_none_twice(
    saved: list[events.JobSaved], delays: list[timedelta], decisions: list[datetime]
) -> None:
    ledger = MemoryLedger()
    arrivals = list[datetime]()
    for each, delay in zip(saved, delays, strict=False):
        arrivals.append(max([each.saved_at + delay, *arrivals[-1:]]))
    steps = sorted(
        [*zip(arrivals, saved, strict=True), *((instant, None) for instant in decisions)], key=lambda step: step[0]
    )
    decided_at = dict[datetime, datetime]()
    for now, version in [*steps, (END + MISSED_AFTER, None)]:
        if version is not None:
            ledger.save(version)
        else:
            ledger.decide_all(now)
        decided_at |= {slot: now for slot in ledger.slots if slot not in decided_at}
    owned = {slot for each in expected_versions(saved) for slot in each.slots}
    assert owned <= set(ledger.slots), "lost"
    for extra in set(ledger.slots) - owned:
        # Decided by a version whose successor had not arrived yet.
        owner = max((each for each in saved if each.saved_at <= extra), key=lambda each: each.version)
        assert decided_at[extra] <= arrivals[owner.version - 1]


@given(
    histories(),
    some.lists(some.integers(0, 240).map(lambda quarter: quarter * SECOND / 4), min_size=6, max_size=6),
    some.lists(moments | near_hours, max_size=25),
)
def test_J5_no_slot_of_an_active_job_is_skipped_as_suspended_while_messages_take_up_to_a_minute(
    saved: list[events.JobSaved], delays: list[timedelta], decisions: list[datetime]
) -> None:
    """So the first slot that the answer to a resumption names is the first that runs."""
    ledger = MemoryLedger()
    steps = [*((each.saved_at + delay, each) for each, delay in zip(saved, delays, strict=False))]
    # Messages arrive in their order.
    arrivals = [(max(instant for instant, _ in steps[: number + 1]), steps[number][1]) for number in range(len(steps))]
    for now, version in sorted([*arrivals, *((instant, None) for instant in decisions)], key=lambda step: step[0]):
        if version is not None:
            ledger.save(version)
        else:
            ledger.decide_all(now)
    ledger.decide_all(END + MISSED_AFTER)
    active = {slot for each in expected_versions(saved) if each.job.state == "active" for slot in each.slots}
    assert {slot for slot in active if ledger.fates()[slot] == "suspended"} == set()


@given(histories(), some.lists(some.integers(-3 * 3600, 6 * 3600), min_size=5, max_size=40), some.integers(0, 20))
def test_S7_a_clock_that_steps_forward_and_back_loses_and_duplicates_nothing(
    saved: list[events.JobSaved], steps: list[int], deletion: int
) -> None:
    ledger, now, waiting = MemoryLedger(), saved[0].saved_at, list(saved)
    before = dict[datetime, str]()
    for number, step in enumerate(steps):
        now = max(BEGIN, now + step * SECOND)
        while waiting and waiting[0].saved_at <= now:
            ledger.save(waiting.pop(0))
        ledger.decide_all(now)
        assert {slot: ledger.fates()[slot] for slot in before} == before, "a fate has changed"
        before = ledger.fates()
        if number == deletion:
            ledger.delete(now)
    for each in waiting:
        ledger.save(each)
    ledger.decide_all(END + MISSED_AFTER)
    if deletion >= len(steps):
        owned = {slot for each in expected_versions(saved) for slot in each.slots}
        assert owned <= set(ledger.slots)


def test_the_oracle_computes_the_slots_of_known_schedules() -> None:
    saved = [job(Schedule(kind="hourly", start=BEGIN, every=6), BEGIN + SECOND)]
    saved += [replace(saved[0], version=2, saved_at=BEGIN + 12 * HOUR + SECOND)]
    assert [[f"{slot:%d %H}" for slot in each.slots][:3] for each in expected_versions(saved)] == [
        ["24 18", "25 00"],
        ["25 06", "25 12", "25 18"],
    ]
