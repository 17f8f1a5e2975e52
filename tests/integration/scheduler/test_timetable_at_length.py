"""The timetable against a scan of every minute of ten years for 10,000 schedules: the unit tests at length."""

import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime

import pytest

from shared.timetable import find_next_slot, iterate_slots
from tests.unit.shared.timescan import DAY, FIRST, LAST, MINUTE, scan, some_schedule

ZONES = ("America/New_York", "Europe/Berlin", "Pacific/Chatham", "UTC")
SCHEDULES = 10_000


@pytest.fixture(params=ZONES)
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before


def disagreements(seed: int, count: int) -> list[str]:
    """Check `count` schedules in a process that began under the zone; return those that disagree."""
    time.tzset()
    dice, found = random.Random(seed), []
    for _ in range(count):
        schedule = some_schedule(dice)
        begin, end = FIRST, LAST
        if schedule.kind == "hourly":
            # Ten years have up to 88,000 slots; 100 days from a random one, over both clock changes, are enough.
            begin = FIRST + dice.randrange(3553) * DAY
            end = begin + 100 * DAY
        slots = list(iterate_slots(schedule, begin - MINUTE, end))
        if slots != scan(schedule, begin, end):
            found.append(repr(schedule))
        if not all(find_next_slot(schedule, before) == after for before, after in pairs(dice, slots)):
            found.append(f"single slot: {schedule!r}")
    return found


def pairs(dice: random.Random, slots: list[datetime]) -> list[tuple[datetime, datetime]]:
    """Return a few pairs of neighbours, to check single slots out of order."""
    if len(slots) < 2:
        return []
    return [(slots[number], slots[number + 1]) for number in (dice.randrange(len(slots) - 1) for _ in range(5))]


def test_S1_S2_S3_S4_S5_ten_thousand_schedules_agree_with_a_scan_of_every_minute_in_any_zone(zone: str) -> None:
    share = SCHEDULES // len(ZONES) // 10
    with ProcessPoolExecutor(2) as workers:
        seeds = [ZONES.index(zone) * 10 + number for number in range(10)]
        found = [each for part in workers.map(disagreements, seeds, [share] * 10) for each in part]
    assert found == []
