"""Rules S1 to S5 and S11: when a schedule is due, checked against independent definitions."""

import os
import random
import time
from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid5

import pytest

from shared.events import Schedule
from shared.timetable import RUN_NAMESPACE, derive_run_id, find_next_slot, iterate_slots, preview_slots
from tests.unit.shared.timescan import DAY, FIRST, KINDS, LAST, MINUTE, scan, some_schedule

ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Pacific/Chatham")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def is_due(schedule: Schedule, minute: datetime) -> bool:
    """The rules as a definition: whether a schedule is due at a whole minute."""
    start = schedule.start
    return minute >= start and (_is_on_grid(schedule, minute) or (minute == start and schedule.immediately))


def _is_on_grid(schedule: Schedule, minute: datetime) -> bool:
    start, every = schedule.start, schedule.every
    if schedule.kind == "hourly":
        return minute.minute == 0 and minute.hour % every == 0
    if (minute.hour, minute.minute) != (start.hour, start.minute):
        return False
    if schedule.kind == "monthly":
        months = (minute.year - start.year) * 12 + minute.month - start.month
        return months % every == 0 and minute.day == min(start.day, monthrange(minute.year, minute.month)[1])
    return (minute.date() - start.date()).days % (every if schedule.kind == "daily" else 7 * every) == 0


@pytest.mark.parametrize("seed", range(40))
def test_S1_S2_S3_S4_every_minute_agrees_with_the_definition(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(10):
        schedule = some_schedule(dice)
        begin = schedule.start + dice.randrange(-DAY // MINUTE, 7 * 365 * DAY // MINUTE) * MINUTE
        minutes = [begin + number * MINUTE for number in range(1, 1 + 1500)]
        assert list(iterate_slots(schedule, begin, minutes[-1])) == [
            each for each in minutes if is_due(schedule, each)
        ], schedule


@pytest.mark.parametrize("seed", range(8))
def test_S1_S2_S3_S4_ten_years_agree_with_the_definition(seed: int) -> None:
    dice = random.Random(1000 + seed)
    for _ in range(25):
        schedule = some_schedule(dice)
        end = LAST if schedule.kind != "hourly" else FIRST + 700 * DAY
        assert list(iterate_slots(schedule, FIRST - MINUTE, end)) == scan(schedule, FIRST, end), schedule


@pytest.mark.parametrize("every", [1, 2, 3, 5, 7, 9, 13, 23, 24])
def test_S2_every_number_of_hours_agrees_with_the_definition_over_ten_years(every: int) -> None:
    schedule = Schedule(kind="hourly", start=at("2024-02-28T17:31"), every=every)
    assert list(iterate_slots(schedule, FIRST - MINUTE, LAST)) == scan(schedule, FIRST, LAST)


@pytest.mark.parametrize("day", [28, 29, 30, 31])
@pytest.mark.parametrize("every", [1, 2, 3, 5, 12])
def test_S3_month_ends_agree_with_the_definition_over_leap_years(day: int, every: int) -> None:
    schedule = Schedule(kind="monthly", start=at(f"2023-01-{day}T23:59"), every=every)
    slots = list(iterate_slots(schedule, FIRST - MINUTE, LAST))
    assert slots == scan(schedule, FIRST, LAST)
    assert len(slots) == -(-120 // every)


def test_S1_slots_do_not_move_with_a_local_clock(zone: str) -> None:
    around_changes = [at("2026-03-06"), at("2026-03-27"), at("2026-10-23"), at("2026-10-30"), at("2026-04-03")]
    for kind in KINDS:
        schedule = Schedule(kind=kind, start=at("2026-01-30T01:30"), every=1)
        for begin in around_changes:
            slots = list(iterate_slots(schedule, begin, begin + 4 * DAY))
            assert all(is_due(schedule, slot) and slot.tzinfo is UTC for slot in slots), (zone, kind)
            if kind == "hourly":
                assert len(slots) == 96
            if kind == "daily":
                assert [slot - slots[0] for slot in slots] == [number * DAY for number in range(4)]


@pytest.mark.parametrize(
    ("every", "hours"), [(4, [0, 4, 8, 12, 16, 20]), (5, [0, 5, 10, 15, 20]), (7, [0, 7, 14, 21]), (9, [0, 9, 18])]
)
def test_S2_the_grid_restarts_at_midnight(every: int, hours: list[int]) -> None:
    schedule = Schedule(kind="hourly", start=at("2026-11-24T03:20"), every=every)
    slots = preview_slots(schedule, 2 * len(hours), at("2026-11-24T23:59:59"))
    assert [slot.hour for slot in slots] == hours * 2
    assert all(slot.minute == slot.second == 0 for slot in slots)


def test_S2_with_a_start_the_first_slot_is_the_first_on_the_grid_at_or_after_it() -> None:
    on_grid = Schedule(kind="hourly", start=at("2026-11-24T08:00"), every=4)
    assert find_next_slot(on_grid, at("2026-11-01")) == at("2026-11-24T08:00")
    off_grid = Schedule(kind="hourly", start=at("2026-11-24T08:00:01"), every=4)
    assert find_next_slot(off_grid, at("2026-11-01")) == at("2026-11-24T12:00")


def test_S3_the_last_day_replaces_a_missing_one() -> None:
    schedule = Schedule(kind="monthly", start=at("2027-12-31T06:00"), every=1)
    assert [f"{slot:%m-%d}" for slot in preview_slots(schedule, 5, at("2027-12-01"))] == [
        "12-31",
        "01-31",
        "02-29",
        "03-31",
        "04-30",
    ]


def test_S3_two_weeks_continue_across_the_end_of_a_year() -> None:
    schedule = Schedule(kind="weekly", start=at("2026-12-21T06:00"), every=2)
    assert [f"{slot:%Y-%m-%d}" for slot in preview_slots(schedule, 3, at("2026-12-01"))] == [
        "2026-12-21",
        "2027-01-04",
        "2027-01-18",
    ]


def test_S4_an_immediate_start_is_one_slot_before_the_grid() -> None:
    schedule = Schedule(kind="hourly", start=at("2026-11-24T10:17:42"), every=4, immediately=True)
    assert preview_slots(schedule, 3, at("2026-11-24T10:17:41")) == [
        at("2026-11-24T10:17:42"),
        at("2026-11-24T12:00"),
        at("2026-11-24T16:00"),
    ]


def test_S5_a_start_in_the_past_is_only_the_anchor() -> None:
    schedule = Schedule(kind="daily", start=at("1990-01-01T05:00"), every=1)
    assert find_next_slot(schedule, at("2026-11-24T10:00")) == at("2026-11-25T05:00")


def test_S1_once_is_due_once() -> None:
    schedule = Schedule(kind="once", start=at("2026-11-24T10:00"))
    assert preview_slots(schedule, 5, at("2026-11-01")) == [at("2026-11-24T10:00")]
    assert find_next_slot(schedule, at("2026-11-24T10:00")) is None


def test_S5_a_start_long_ago_costs_no_more_than_a_recent_one() -> None:
    counted = 0

    class Counting(datetime):
        def __add__(self, other: timedelta) -> "Counting":
            nonlocal counted
            counted += 1
            moved = datetime.__add__(self, other)
            return Counting.fromtimestamp(moved.timestamp(), UTC)

    start = Counting(1990, 1, 1, tzinfo=UTC)
    for kind in KINDS:
        assert find_next_slot(Schedule(kind=kind, start=start, every=1), at("2026-11-24")) is not None
    assert 0 < counted <= 12


def test_schedules_end_with_the_calendar() -> None:
    schedule = Schedule(kind="monthly", start=at("9999-06-30"), every=9)
    assert find_next_slot(schedule, at("9999-07-01")) is None


def test_S7_run_ids_are_derived_and_never_change() -> None:
    job = UUID("0192f0c1-7b1e-7000-8000-000000000001")
    expected = UUID("0dd9e490-ae71-572c-bd14-ee1a831109fa")
    derived = derive_run_id(job, at("2026-11-24T10:00"))
    assert derived == derive_run_id(job, datetime.fromisoformat("2026-11-24T12:00:00.9+02:00"))
    assert derived.version == 5
    assert derived == expected


@pytest.mark.parametrize("number", range(50))
def test_S7_run_ids_equal_those_of_the_standard_library(number: int) -> None:
    job = UUID(int=random.Random(number).getrandbits(128))
    slot = FIRST + number * 977 * MINUTE
    assert derive_run_id(job, slot) == uuid5(RUN_NAMESPACE, f"{job}/{slot:%Y-%m-%dT%H:%M:%SZ}")
