"""The fate of a slot: rules J5 to J7, J10, S4, S5, S7 and S8."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.events.values import CatchUp, JobState, Schedule
from tests.unit.scheduler.memory import DAY, HOUR, SECOND, MemoryLedger, at, job

NOON = at("2026-11-24T12:00")
HOURLY = Schedule(kind="hourly", start=at("2026-11-01T00:00"))
ONCE = Schedule(kind="once", start=NOON)
IMMEDIATE = Schedule(kind="once", start=NOON + timedelta(seconds=7.5), immediately=True)


@pytest.mark.parametrize(
    ("late", "catch_up", "reason"),
    [
        (timedelta(0), "last", "schedule"),
        (60 * SECOND, "none", "schedule"),
        (61 * SECOND, "last", "catch-up"),
        (61 * SECOND, "all", "catch-up"),
        (61 * SECOND, "none", "missed"),
    ],
)
def test_S8_a_slot_is_missed_after_a_minute(late: timedelta, catch_up: CatchUp, reason: str) -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON - SECOND, catch_up=catch_up))
    ledger.decide_all(NOON + late)
    assert ledger.fates() == {NOON: reason}


@pytest.mark.parametrize(("catch_up", "most"), [("last", 1), ("all", 100), ("none", 0)])
@pytest.mark.parametrize("limit", [1, 7, 50, 5000])
def test_S8_the_newest_missed_slots_run_and_the_others_are_recorded(catch_up: CatchUp, most: int, limit: int) -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON, catch_up=catch_up))
    ledger.decide_all(NOON + 10 * DAY + 10 * 60 * SECOND, limit)
    assert len(ledger.slots) == 241
    assert ledger.triggered_slots() == [NOON + number * HOUR for number in range(241 - most, 241)]
    assert set(ledger.fates().values()) <= {"missed", "catch-up"}


def test_S8_slots_that_passed_while_suspended_are_never_run_at_resume() -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON - SECOND))
    ledger.save(job(HOURLY, NOON + SECOND, version=2, state="suspended"))
    ledger.save(job(HOURLY, NOON + 3 * HOUR + SECOND, version=3, catch_up="all"))
    ledger.decide_all(NOON + 5 * HOUR + 120 * SECOND)
    assert [f"{slot:%H} {reason}" for slot, reason in ledger.fates().items()] == [
        "12 missed",
        "13 suspended",
        "14 suspended",
        "15 suspended",
        "16 catch-up",
        "17 catch-up",
    ]


@pytest.mark.parametrize(
    ("schedule", "state", "reason"),
    [
        (IMMEDIATE, "suspended", "immediate"),
        (IMMEDIATE, "active", "immediate"),
        (ONCE, "active", "schedule"),
        (ONCE, "suspended", "suspended"),
        (replace(HOURLY, start=IMMEDIATE.start, immediately=True), "active", "immediate"),
        (replace(HOURLY, start=IMMEDIATE.start, immediately=True), "suspended", "suspended"),
    ],
)
def test_J6_J7_a_one_time_job_runs_once_and_only_an_immediate_start_overrides_suspension(
    schedule: Schedule, state: JobState, reason: str
) -> None:
    ledger = MemoryLedger()
    ledger.save(job(schedule, schedule.start if schedule.immediately else NOON - HOUR, state=state))
    slot = NOON + 7 * SECOND if schedule.immediately else NOON
    ledger.decide_all(slot + 60 * SECOND)
    assert ledger.fates() == {slot: reason}


def test_J7_the_suspension_after_its_start_changes_nothing() -> None:
    ledger = MemoryLedger()
    ledger.save(job(ONCE, NOON - HOUR))
    ledger.decide_all(NOON)
    ledger.save(job(ONCE, NOON + SECOND, version=2, state="suspended", state_reason="one-time"))
    ledger.decide_all(NOON + DAY)
    assert ledger.fates() == {NOON: "schedule"}


def test_J6_an_immediate_start_is_never_missed_however_late_the_scheduler_is() -> None:
    ledger = MemoryLedger()
    ledger.save(job(IMMEDIATE, IMMEDIATE.start, state="suspended", catch_up="none"))
    ledger.decide_all(NOON + 40 * DAY)
    assert ledger.fates() == {NOON + 7 * SECOND: "immediate"}


@pytest.mark.parametrize(
    ("saved", "first"),
    [
        (NOON - SECOND, NOON),
        (NOON, NOON),
        (NOON + timedelta(microseconds=1), NOON + HOUR),
        (NOON + SECOND, NOON + HOUR),
    ],
)
def test_S5_the_first_slot_is_the_first_not_in_the_past(saved: object, first: object) -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, saved))  # type: ignore[arg-type]  # a parameter of the table above
    ledger.decide_all(NOON + HOUR)
    assert min(ledger.slots) == first


def test_J5_suspending_stops_later_slots_and_no_earlier_ones() -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON - SECOND))
    ledger.save(job(HOURLY, NOON + SECOND / 2, version=2, state="suspended"))
    ledger.decide_all(NOON + SECOND)
    ledger.decide_all(NOON + HOUR + 60 * SECOND)
    assert ledger.fates() == {NOON: "schedule", NOON + HOUR: "suspended"}


@pytest.mark.parametrize(
    ("saved", "arrives", "reason"),
    [
        (NOON - SECOND / 1000, NOON + SECOND, "schedule"),
        (NOON, NOON + 59 * SECOND, "schedule"),
        (NOON + SECOND / 1000, NOON + SECOND, "suspended"),
        (NOON - SECOND, NOON + 61 * SECOND, "suspended"),
    ],
)
def test_J5_a_resumption_that_was_saved_before_a_slot_runs_it_even_when_it_arrives_up_to_a_minute_after_it(
    saved: datetime, arrives: datetime, reason: str
) -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON - SECOND, state="suspended"))
    ledger.decide_all(arrives)
    ledger.save(job(HOURLY, saved, version=2))
    ledger.decide_all(arrives)
    assert ledger.fates() == {NOON: reason}


def test_J5_no_slot_runs_late_for_a_job_that_has_been_suspended_since() -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON - SECOND))
    ledger.save(job(HOURLY, NOON + SECOND, version=2, state="suspended"))
    ledger.decide_all(NOON + 30 * 60 * SECOND)
    assert ledger.fates() == {NOON: "missed"}


def test_J10_an_edit_never_triggers_a_slot_again() -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON - SECOND))
    ledger.decide_all(NOON)
    for number in range(2, 30):
        ledger.save(job(HOURLY, NOON + number * SECOND / 50, version=number))
        assert ledger.decide_batch(NOON + SECOND) == 0
    assert ledger.fates() == {NOON: "schedule"}


def test_J10_an_edit_loses_no_slot_that_was_due_before_it() -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON - SECOND))
    ledger.save(job(replace(HOURLY, every=24), NOON + SECOND, version=2))
    ledger.decide_all(NOON + 2 * SECOND)
    assert ledger.fates() == {NOON: "schedule"}


def test_S8_the_newest_of_the_slots_missed_around_an_edit_runs() -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON - SECOND))
    ledger.save(job(replace(HOURLY, every=2), NOON + 2 * HOUR + SECOND, version=2))
    ledger.decide_all(NOON + 5 * HOUR)
    assert [f"{slot:%H} {reason}" for slot, reason in ledger.fates().items()] == [
        "12 missed",
        "13 missed",
        "14 missed",
        "16 catch-up",
    ]


def test_S4_an_edit_that_starts_immediately_runs_although_later_slots_were_decided() -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON - SECOND))
    edited = NOON - SECOND / 2
    ledger.decide_all(NOON)  # the edit is saved but has not arrived yet
    ledger.save(job(replace(HOURLY, start=edited, immediately=True), edited, version=2))
    ledger.decide_all(NOON)
    assert ledger.fates() == {NOON - SECOND: "immediate", NOON: "schedule"}


def test_S4_an_immediate_slot_belongs_to_the_version_that_started_with_it() -> None:
    ledger = MemoryLedger()
    first = job(replace(HOURLY, start=IMMEDIATE.start, immediately=True), IMMEDIATE.start)
    ledger.save(first)
    ledger.save(replace(first, version=2, state="suspended", saved_at=first.saved_at + SECOND / 10))
    ledger.save(replace(first, version=3, saved_at=first.saved_at + 9 * SECOND))
    ledger.decide_all(NOON + 20 * SECOND)
    assert ledger.fates() == {NOON + 7 * SECOND: "immediate"}


def test_S7_slots_due_at_a_deletion_end_with_it() -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON - SECOND))
    ledger.save(job(HOURLY, NOON + HOUR + SECOND, version=2))
    ledger.delete(NOON + 3 * HOUR)
    ledger.save(job(HOURLY, NOON + 4 * HOUR, version=3))
    ledger.decide_all(NOON + 9 * HOUR)
    assert ledger.fates() == {NOON + number * HOUR: "ended" for number in range(4)}


def test_S7_a_hundred_thousand_missed_slots_before_an_edit_are_all_decided_in_batches() -> None:
    ledger = MemoryLedger()
    hourly = replace(HOURLY, start=at("1990-01-01"))
    ledger.save(job(hourly, NOON - 100_000 * HOUR + SECOND, catch_up="none"))
    ledger.save(job(HOURLY, NOON + SECOND, version=2))
    assert ledger.decide_batch(NOON + 2 * SECOND, 2000) == 2000
    ledger.decide_all(NOON + 2 * SECOND, 2000)
    assert len(ledger.slots) == 100_000
    assert ledger.fates()[NOON] == "schedule"
    assert ledger.open_versions() == []


@pytest.mark.parametrize(("catch_up", "most"), [("last", 1), ("all", 100)])
def test_S8_an_edit_while_older_slots_are_open_adds_no_run(catch_up: CatchUp, most: int) -> None:
    """The second version has no open slots when it is superseded, but its runs count for the first version."""
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON + SECOND, catch_up=catch_up))
    ledger.save(job(HOURLY, NOON + 200 * HOUR + SECOND, version=2, catch_up=catch_up))
    now = NOON + 205 * HOUR + 30 * 60 * SECOND
    ledger.decide_batch(now, limit=10)
    assert [each.number for each in ledger.open_versions()] == [1]
    assert ledger.triggered_slots() == [NOON + number * HOUR for number in range(206 - min(most, 5), 206)]
    ledger.save(job(HOURLY, now, version=3, catch_up=catch_up))
    ledger.decide_all(now + SECOND, limit=10)
    assert len(ledger.slots) == 205
    assert ledger.triggered_slots() == [NOON + number * HOUR for number in range(206 - most, 206)]


def test_S7_a_clock_set_back_between_two_savings_gives_no_slot_to_both() -> None:
    ledger = MemoryLedger()
    ledger.save(job(HOURLY, NOON - SECOND))
    ledger.save(job(HOURLY, NOON + 2 * HOUR + SECOND, version=2, state="suspended"))
    ledger.save(job(HOURLY, NOON - HOUR, version=3))
    assert ledger.current is not None
    assert ledger.current.since == NOON + 2 * HOUR + SECOND
    ledger.decide_all(NOON + 3 * HOUR)
    assert ledger.fates()[NOON + 3 * HOUR] == "schedule"
    assert sorted(ledger.slots) == [NOON + number * HOUR for number in range(4)]
