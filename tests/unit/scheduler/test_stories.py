"""Rules S7, S8, J5 and J10 over any story of edits, suspensions, resumptions, outages and late news, by an oracle."""

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from shared import events
from shared.events.values import Schedule
from tests.unit.scheduler.memory import DAY, HOUR, MISSED_AFTER, SECOND, Memory, at, grid, job

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
def stories(draw: Any) -> list[events.JobSaved]:
    """Draw a job's versions: the first, and what was done to it."""
    saved = sorted(draw(some.lists(moments | near_hours, min_size=1, max_size=6, unique=True)))
    told: list[events.JobSaved] = []
    for number, moment in enumerate(saved, 1):
        again = draw(schedules)
        if told and draw(some.booleans()):
            again = told[-1].schedule
        told.append(
            job(
                again,
                moment,
                version=number,
                state=draw(some.sampled_from(["active", "active", "suspended"])),
                catch_up=draw(some.sampled_from(["last", "all", "none"])),
            )
        )
    return told


@dataclass
class Ruled:
    """An oracle's view of one version: its slots, worked out hour by hour."""

    job: events.JobSaved
    slots: list[datetime]


def ruled(told: list[events.JobSaved]) -> list[Ruled]:
    ends = [following.saved_at for following in told[1:]] + [END + SECOND]
    return [
        Ruled(each, [slot for slot in grid(each.schedule, each.saved_at, END) if slot < end])
        for each, end in zip(told, ends, strict=True)
    ]


def expected(known: list[Ruled], slot: datetime, own: Ruled, now: datetime) -> str:
    """Return the reason of a slot's fate when it is decided at `now`, by what is known then."""
    if own.job.state == "suspended":
        return "suspended"
    if now - slot <= MISSED_AFTER:
        return "schedule"
    newer = sum(
        bisect_right(each.slots, now) - bisect_right(each.slots, slot) for each in known if each.job.state == "active"
    )
    late = known[-1].job.state == "active" and newer < NEWEST[own.job.catch_up]
    return "catch-up" if late else "missed"


@settings(max_examples=150, deadline=None)
@given(stories(), some.lists(moments | near_hours, max_size=25), some.sampled_from([1, 3, 50]))
def test_S7_S8_J5_J10_every_slot_has_the_one_fate_that_the_rules_give_it(
    told: list[events.JobSaved], turns: list[datetime], at_once: int
) -> None:
    ledger, reasons, versions = Memory(), dict[datetime, str](), ruled(told)
    told_at = [(each.saved_at, each) for each in told]
    happenings = sorted([*told_at, *((turn, None) for turn in turns)], key=lambda happening: happening[0])
    for number, (now, saved) in enumerate([*happenings, (END, None)]):
        if saved is not None:
            ledger.save(saved)
            continue
        ledger.settle(now, at_once)
        come = {each.version for _, each in happenings[:number] if each is not None}
        known = [each for each in versions if each.job.version in come]
        chain = known_at(known, now) if known else []
        for each in known:
            for slot in each.slots:
                if slot <= now and slot not in reasons:
                    reasons[slot] = expected(chain, slot, each, now)
    assert ledger.fates() == dict(sorted(reasons.items()))


def known_at(known: list[Ruled], now: datetime) -> list[Ruled]:
    """Let the last known version rule until further notice: its slots go on after a saving that is yet unheard of."""
    last = known[-1].job
    return [*known[:-1], Ruled(last, list(grid(last.schedule, last.saved_at, now)))]


@settings(max_examples=100, deadline=None)
@given(
    stories(),
    some.lists(some.integers(0, 9000).map(lambda quarter: quarter * SECOND / 4), min_size=6, max_size=6),
    some.lists(moments | near_hours, max_size=25),
)
def test_S7_J10_late_news_loses_nothing_and_fires_nothing_twice(
    told: list[events.JobSaved], delays: list[timedelta], turns: list[datetime]
) -> None:
    ledger = Memory()
    arrivals = list[datetime]()
    for each, delay in zip(told, delays, strict=False):
        arrivals.append(max([each.saved_at + delay, *arrivals[-1:]]))
    happenings = sorted(
        [*zip(arrivals, told, strict=True), *((turn, None) for turn in turns)], key=lambda happening: happening[0]
    )
    decided_at = dict[datetime, datetime]()
    for now, saved in [*happenings, (END, None)]:
        if saved is not None:
            ledger.save(saved)
        else:
            ledger.settle(now)
        decided_at |= {slot: now for slot in ledger.slots if slot not in decided_at}
    owned = {slot for each in ruled(told) for slot in each.slots}
    assert owned <= set(ledger.slots), "lost"
    for extra in set(ledger.slots) - owned:
        # Fired by a version that was still in force as far as was known.
        ruling = max((each for each in told if each.saved_at <= extra), key=lambda each: each.version)
        assert decided_at[extra] <= arrivals[ruling.version - 1]


@settings(max_examples=50, deadline=None)
@given(stories(), some.lists(some.integers(-3 * 3600, 6 * 3600), min_size=5, max_size=40), some.integers(0, 20))
def test_S7_a_clock_that_steps_forward_and_back_loses_and_doubles_nothing(
    told: list[events.JobSaved], steps: list[int], deletion: int
) -> None:
    ledger, now, waiting = Memory(), told[0].saved_at, list(told)
    before = dict[datetime, str]()
    for number, step in enumerate(steps):
        now = max(BEGIN, now + step * SECOND)
        while waiting and waiting[0].saved_at <= now:
            ledger.save(waiting.pop(0))
        ledger.settle(now)
        assert {slot: ledger.fates()[slot] for slot in before} == before, "a fate has changed"
        before = ledger.fates()
        if number == deletion:
            ledger.delete(now)
    for saved in waiting:
        ledger.save(saved)
    ledger.settle(END)
    if deletion >= len(steps):
        owned = {slot for each in ruled(told) for slot in each.slots}
        assert owned <= set(ledger.slots)


def test_the_oracle_itself_knows_a_slot_when_it_sees_one() -> None:
    told = [job(Schedule(kind="hourly", start=BEGIN, every=6), BEGIN + SECOND)]
    told += [replace(told[0], version=2, saved_at=BEGIN + 12 * HOUR + SECOND)]
    assert [[f"{slot:%d %H}" for slot in each.slots][:3] for each in ruled(told)] == [
        ["24 18", "25 00"],
        ["25 06", "25 12", "25 18"],
    ]
