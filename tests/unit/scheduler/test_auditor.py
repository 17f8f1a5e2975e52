"""The auditor sees what is missing, what is too much and what is wrong, and nothing else."""

from dataclasses import replace
from datetime import datetime

import pytest

from scheduler.auditor import differences
from scheduler.domain import Version, begun
from scheduler.store_audit import Recorded
from shared.events.values import Schedule
from shared.timetable import derive_run_id
from tests.unit.scheduler.memory import HOUR, JOB, SECOND, at, job

NOON = at("2026-11-24T12:00")
HOURLY = Schedule(kind="hourly", start=at("2026-11-01T00:00"))
DECIDED = replace(begun(job(HOURLY, NOON - SECOND), "{}", None), next_slot=NOON + 3 * HOUR)


def recorded(slot: datetime, *, version: int = 1, reason: str = "schedule") -> Recorded:
    fate = "triggered" if reason in {"schedule", "immediate", "catch-up"} else "skipped"
    return Recorded(slot, derive_run_id(JOB, slot), version, fate, reason)


LEDGER = [recorded(NOON + number * HOUR) for number in range(3)]


def found(version: Version, ledger: list[Recorded]) -> list[tuple[str, str]]:
    seen = differences(version, ledger, NOON - HOUR, NOON + 9 * HOUR)
    return [(f"{slot:%H:%M}", kind) for slot, kind in seen]


def test_S7_a_ledger_as_it_should_be_has_no_difference() -> None:
    assert found(DECIDED, LEDGER) == []
    before = recorded(NOON - 30 * 60 * SECOND, version=0)
    assert found(DECIDED, [before, *LEDGER]) == [], "what older versions did is not ours to judge"


@pytest.mark.parametrize(
    ("ledger", "difference"),
    [
        (LEDGER[:1] + LEDGER[2:], ("13:00", "missing")),
        ([*LEDGER, recorded(NOON + 30 * 60 * SECOND)], ("12:30", "unexpected")),
        ([*LEDGER[:2], replace(LEDGER[2], run_id=JOB)], ("14:00", "wrong")),
        ([*LEDGER[:2], recorded(NOON + 2 * HOUR, reason="suspended")], ("14:00", "wrong")),
        ([*LEDGER[:2], recorded(NOON + 2 * HOUR, reason="ended")], ("14:00", "wrong")),
    ],
)
def test_S7_a_slot_that_is_lost_added_or_wrong_is_seen(ledger: list[Recorded], difference: tuple[str, str]) -> None:
    assert found(DECIDED, ledger) == [difference]


def test_S7_a_run_of_a_suspended_job_is_wrong_unless_it_was_decided_before_the_suspension_came() -> None:
    suspended = replace(DECIDED, number=2, state="suspended")
    assert found(suspended, [recorded(NOON, version=1), *(replace(each, version=2) for each in LEDGER[1:])]) == [
        ("13:00", "wrong"),
        ("14:00", "wrong"),
    ]


def past(version: Version, until: datetime, **changes: object) -> Version:
    return replace(version, until=until, next_slot=None, **changes)  # type: ignore[arg-type]


def test_S7_a_version_that_ruled_answers_for_its_own_time_and_no_other() -> None:
    """Two of the three hours fell under the version before; the third is its successor's."""
    replaced = past(DECIDED, NOON + HOUR + SECOND)
    assert found(replaced, LEDGER[:2]) == []
    assert found(replaced, LEDGER) == []
    assert found(replaced, LEDGER[:1]) == [("13:00", "missing")]
    assert found(replaced, [LEDGER[0], replace(LEDGER[1], run_id=JOB)]) == [("13:00", "wrong")]
    assert found(replaced, [LEDGER[0], replace(LEDGER[1], version=2)]) == [("13:00", "wrong")], "it was not yet there"
    half_past = recorded(NOON + 30 * 60 * SECOND)
    assert found(replaced, [LEDGER[0], half_past, LEDGER[1]]) == [("12:30", "unexpected")]
    still_open = replace(replaced, next_slot=NOON + HOUR)
    assert found(still_open, LEDGER[:1]) == []


def test_S7_what_was_due_before_a_deletion_has_a_fate() -> None:
    deleted = past(DECIDED, NOON + HOUR + SECOND, deleted=True)
    assert found(deleted, [LEDGER[0], recorded(NOON + HOUR, reason="ended")]) == []
    assert found(deleted, LEDGER[:1]) == [("13:00", "missing")]
    gone = replace(DECIDED, deleted=True, next_slot=None)
    assert found(gone, LEDGER[:1]) == [], "from its deletion on a job has no slots"
