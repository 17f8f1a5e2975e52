"""The auditor reports missing, unexpected and wrong slots, and nothing else."""

from dataclasses import replace
from datetime import datetime

import pytest

from scheduler.auditor import find_differences
from scheduler.domain import JobVersion, create_version
from scheduler.store_audit import RecordedSlot
from shared.events.values import Schedule
from shared.timetable import derive_run_id
from tests.unit.scheduler.memory import HOUR, JOB, SECOND, at, job

NOON = at("2026-11-24T12:00")
HOURLY = Schedule(kind="hourly", start=at("2026-11-01T00:00"))
DECIDED = replace(create_version(job(HOURLY, NOON - SECOND), "{}", None), next_slot=NOON + 3 * HOUR)


def make_slot(slot: datetime, *, version: int = 1, reason: str = "schedule") -> RecordedSlot:
    fate = "triggered" if reason in {"schedule", "immediate", "catch-up"} else "skipped"
    return RecordedSlot(slot, derive_run_id(JOB, slot), version, fate, reason)


LEDGER = [make_slot(NOON + number * HOUR) for number in range(3)]


def list_differences(version: JobVersion, ledger: list[RecordedSlot]) -> list[tuple[str, str]]:
    differences = find_differences(version, ledger, slots_from=NOON - HOUR, slots_to=NOON + 9 * HOUR)
    return [(f"{slot:%H:%M}", kind) for slot, kind in differences]


def test_S7_a_correct_ledger_has_no_difference() -> None:
    assert list_differences(DECIDED, LEDGER) == []
    before = make_slot(NOON - 30 * 60 * SECOND, version=0)
    assert list_differences(DECIDED, [before, *LEDGER]) == [], "slots of other versions are not checked"


@pytest.mark.parametrize(
    ("ledger", "difference"),
    [
        (LEDGER[:1] + LEDGER[2:], ("13:00", "missing")),
        ([*LEDGER, make_slot(NOON + 30 * 60 * SECOND)], ("12:30", "unexpected")),
        ([*LEDGER[:2], replace(LEDGER[2], run_id=JOB)], ("14:00", "wrong")),
        ([*LEDGER[:2], make_slot(NOON + 2 * HOUR, reason="suspended")], ("14:00", "wrong")),
        ([*LEDGER[:2], make_slot(NOON + 2 * HOUR, reason="ended")], ("14:00", "wrong")),
    ],
)
def test_S7_a_slot_that_is_lost_added_or_wrong_is_reported(
    ledger: list[RecordedSlot], difference: tuple[str, str]
) -> None:
    assert list_differences(DECIDED, ledger) == [difference]


def test_S7_a_run_of_a_suspended_job_is_wrong_unless_decided_before_the_suspension_arrived() -> None:
    suspended = replace(DECIDED, number=2, state="suspended")
    assert list_differences(
        suspended, [make_slot(NOON, version=1), *(replace(each, version=2) for each in LEDGER[1:])]
    ) == [
        ("13:00", "wrong"),
        ("14:00", "wrong"),
    ]


def supersede(version: JobVersion, until: datetime, **changes: object) -> JobVersion:
    return replace(version, until=until, next_slot=None, **changes)  # type: ignore[arg-type]


def test_S7_a_superseded_version_is_audited_for_its_own_time_only() -> None:
    """The version decided two of the three hours; the third belongs to its successor."""
    superseded = supersede(DECIDED, NOON + HOUR + SECOND)
    assert list_differences(superseded, LEDGER[:2]) == []
    assert list_differences(superseded, LEDGER) == []
    assert list_differences(superseded, LEDGER[:1]) == [("13:00", "missing")]
    assert list_differences(superseded, [LEDGER[0], replace(LEDGER[1], run_id=JOB)]) == [("13:00", "wrong")]
    assert list_differences(superseded, [LEDGER[0], replace(LEDGER[1], version=2)]) == [("13:00", "wrong")], (
        "version 2 did not exist then"
    )
    half_past = make_slot(NOON + 30 * 60 * SECOND)
    assert list_differences(superseded, [LEDGER[0], half_past, LEDGER[1]]) == [("12:30", "unexpected")]
    open_version = replace(superseded, next_slot=NOON + HOUR)
    assert list_differences(open_version, LEDGER[:1]) == []


def test_S7_slots_due_before_a_deletion_have_a_fate() -> None:
    deleted = supersede(DECIDED, NOON + HOUR + SECOND, deleted=True)
    assert list_differences(deleted, [LEDGER[0], make_slot(NOON + HOUR, reason="ended")]) == []
    assert list_differences(deleted, LEDGER[:1]) == [("13:00", "missing")]
    current = replace(DECIDED, deleted=True, next_slot=None)
    assert list_differences(current, LEDGER[:1]) == [], "a job has no slots after its deletion"
