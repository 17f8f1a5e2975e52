"""Admission, retries, windows, parts and the manifest."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.admission import JobStatus, decide_admission
from exporter.domain.manifest import ManifestHeader, build_manifest
from exporter.domain.parts import FinishedPart, describe_missing_rows, number_files, sum_rows_by_kind
from exporter.domain.retries import compute_retry_delay, get_max_attempts
from exporter.domain.slicing import SliceStatus
from exporter.domain.windows import resolve_window
from shared.events import SlotTriggered, Timeframe, Window
from shared.events.values import FileKind, Overlap
from tests.contract.samples import JOB, RUN, SETTINGS, SLOT, TENANT

KINDS: list[FileKind] = ["interaction", "interaction-attachment"]


def make_trigger(overlap: Overlap) -> SlotTriggered:
    return SlotTriggered(
        job_id=JOB,
        tenant_id=TENANT,
        run_id=RUN,
        slot=SLOT,
        cause="schedule",
        job_version=1,
        settings=SETTINGS,
        overlap=overlap,
        triggered_at=SLOT,
    )


@pytest.mark.parametrize(
    ("overlap", "job", "admission"),
    [
        ("skip", JobStatus(deleted=False, queued=0, running=0), "queued"),
        ("skip", JobStatus(deleted=False, queued=1, running=0), "skipped"),
        ("skip", JobStatus(deleted=False, queued=0, running=1), "skipped"),
        ("queue", JobStatus(deleted=False, queued=0, running=0), "queued"),
        ("queue", JobStatus(deleted=False, queued=0, running=1), "queued"),
        ("queue", JobStatus(deleted=False, queued=1, running=1), "skipped"),
        ("queue", JobStatus(deleted=False, queued=1, running=0), "skipped"),
        ("queue", JobStatus(deleted=True, queued=0, running=0), "cancelled"),
        ("skip", JobStatus(deleted=True, queued=1, running=1), "cancelled"),
    ],
)
def test_S9_J9_what_becomes_of_a_trigger(overlap: Overlap, job: JobStatus, admission: str) -> None:
    assert decide_admission(make_trigger(overlap), job) == admission


@given(st.integers(1, 10_000))
def test_R5_the_delay_doubles_up_to_five_minutes(attempt: int) -> None:
    assert compute_retry_delay(1) == timedelta(seconds=2)
    assert compute_retry_delay(1, patient=True) == timedelta(seconds=30)
    assert compute_retry_delay(attempt) <= compute_retry_delay(attempt, patient=True) <= timedelta(minutes=5)
    assert compute_retry_delay(attempt) <= compute_retry_delay(attempt + 1) <= timedelta(minutes=5)
    assert compute_retry_delay(attempt + 1) in {2 * compute_retry_delay(attempt), timedelta(minutes=5)}


def test_R5_a_patient_error_is_retried_more_often_unless_the_job_allows_one_attempt() -> None:
    assert [get_max_attempts(each, patient=False) for each in (1, 3)] == [1, 3]
    assert [get_max_attempts(each, patient=True) for each in (1, 3)] == [1, 12]


def at(*when: int) -> datetime:
    return datetime(*when, tzinfo=UTC)  # type: ignore[arg-type, misc]  # year, month, day and so on


@pytest.mark.parametrize(
    ("count", "unit", "slot", "start"),
    [
        (6, "hours", at(2026, 3, 29, 3), at(2026, 3, 28, 21)),
        (1, "days", at(2026, 3, 1), at(2026, 2, 28)),
        (2, "weeks", at(2026, 1, 10), at(2025, 12, 27)),
        (1, "months", at(2026, 3, 31, 5), at(2026, 2, 28, 5)),
        (1, "months", at(2024, 3, 30), at(2024, 2, 29)),
        (13, "months", at(2026, 1, 15), at(2024, 12, 15)),
    ],
)
def test_T2_last_is_a_window_before_the_slot(count: int, unit: str, slot: datetime, start: datetime) -> None:
    frame = Timeframe(kind="last", count=count, unit=unit)  # type: ignore[arg-type]  # a literal, as parametrized
    assert resolve_window(frame, slot, None) == Window(start=start, end=slot)


def test_T1_T2_the_other_windows() -> None:
    fixed = Timeframe(kind="fixed", start=at(2026, 1, 1), end=at(2026, 2, 1))
    assert resolve_window(Timeframe(), SLOT, SLOT) == Window()
    assert resolve_window(fixed, SLOT, SLOT) == Window(start=fixed.start, end=fixed.end)
    since = Timeframe(kind="since_last_run")
    assert resolve_window(since, SLOT, None) == Window(), "the first run exports all"
    assert resolve_window(since, SLOT, at(2026, 1, 2)) == Window(start=at(2026, 1, 2)), (
        "from the end of the last success"
    )


def make_part(kind: FileKind, slice_number: int, number: int, rows: int, snapshot: str = "s1") -> FinishedPart:
    return FinishedPart(
        kind=kind,
        slice=slice_number,
        number=number,
        token=1,
        object=f"runs/r/{kind}.{slice_number}.1/{number}",
        rows=rows,
        bytes_raw=rows * 10,
        bytes_packed=rows,
        sha256="0" * 64,
        last_key="k",
        snapshot=snapshot,
    )


def make_status(kind: FileKind, number: int, rows: int | None) -> SliceStatus:
    return SliceStatus(
        kind=kind, number=number, state="done", token=1, rows_expected=rows, rows_done=rows or 0, bytes_done=0
    )


PARTS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(1, 5), st.integers(1, 5), st.integers(0, 9)),
    unique_by=lambda each: each[:3],
).map(lambda found: [make_part(*each) for each in sorted(found)])


@given(PARTS)
def test_P1_numbers_are_contiguous_in_the_order_of_the_records(parts: list[FinishedPart]) -> None:
    files = number_files(parts, SETTINGS, lambda kind, number: f"{kind}-{number}")
    assert [file.object for file in files] == [each.object for each in parts]
    for kind in KINDS:
        mine = [file for file in files if file.kind == kind]
        assert [file.part for file in mine] == list(range(1, len(mine) + 1))
        assert [file.name for file in mine] == [f"{kind}-{file.part}" for file in mine]
    unsplit = number_files(parts, replace(SETTINGS, split_size=None), lambda kind, _: kind)
    assert {file.part for file in unsplit} <= {None}


@given(PARTS, st.data())
def test_P5_rows_are_compared_slice_by_slice(parts: list[FinishedPart], data: st.DataObject) -> None:
    counted: dict[tuple[FileKind, int], int] = {}
    for each in parts:
        counted[each.kind, each.slice] = counted.get((each.kind, each.slice), 0) + each.rows
    slices = [make_status(kind, number, rows) for (kind, number), rows in counted.items()]
    assert describe_missing_rows(parts, slices) is None
    assert sum(sum_rows_by_kind(slices).values()) == sum(each.rows for each in parts)
    if slices:
        index = data.draw(st.integers(0, len(slices) - 1))
        wrong = replace(slices[index], rows_expected=(slices[index].rows_expected or 0) + 1)
        fault = describe_missing_rows(parts, [*slices[:index], wrong, *slices[index + 1 :]])
        assert fault is not None
        assert f"{wrong.kind} (slice {wrong.number})" in fault


def test_P5_a_slice_without_any_part_is_detected() -> None:
    assert describe_missing_rows([], [make_status("contact", 1, 0)]) is not None


def test_P5_E6_the_manifest_names_the_snapshot_of_each_file() -> None:
    parts = [make_part("interaction", 1, 1, 5, "before"), make_part("interaction", 1, 2, 4, "after")]
    files = number_files(parts, SETTINGS, lambda kind, number: f"{kind}-{number}")
    header = ManifestHeader(
        run_id=RUN,
        job_id=JOB,
        tenant_id=TENANT,
        slot=SLOT,
        window=Window(start=None, end=SLOT),
        schema_version=3,
        snapshot_rows={"interaction": 9},
        recipients=["ab"],
        data_complete_through=SLOT,
    )
    content = build_manifest(header, files, parts, settings=SETTINGS)
    assert (content["manifest_version"], content["schema_version"], content["encoding"]) == (2, 3, "ber")
    assert [each["member"] for each in content["files"]] == ["1.jsonl", "2.jsonl"]
    assert content["snapshots"] == ["before", "after"]
    assert [each["snapshot"] for each in content["files"]] == ["before", "after"]
    assert content["data_complete_through"] == content["window"]["end"] == "2026-11-24T10:00:00Z"
