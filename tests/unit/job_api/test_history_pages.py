"""The pages of history: runs in plain words, and files grouped into sets."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from job_api.pages.kit.formats import format_duration, format_time_remaining
from job_api.pages.kit.lists import parse_day
from job_api.pages.runs.descriptions import ADVICE, advise, describe_event, describe_timeframe, explain_state
from job_api.pages.runs.file_sets import FileRow, group_files
from job_api.pages.runs.run_details import plot_throughput
from job_api.store.jobs import RunEstimate

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)


def make_file(
    number: int, *, run: str = "r1", of: int = 3, available: int | None = None, **changes: Any
) -> dict[str, Any]:
    file = {
        "id": f"{run}-{number}",
        "run_id": run,
        "job_id": "j1",
        "kind": "interaction",
        "title": "Nightly",
        "name": f"Interaction-j1-20261124T100000Z-part-{number:04}.zip.p7m",
        "rows": 10,
        "size": 1000,
        "created_at": AT,
        "expires_at": AT + timedelta(days=30),
        "days_remaining": 30,
        "state": "available",
        "set_files": of,
        "set_available": of if available is None else available,
        "downloads": 1,
        "sha256": "ab",
    }
    return file | changes


def find_partial_sets(rows: list[FileRow]) -> list[str]:
    return [row.key for row in rows if row.is_partial]


def test_A1_the_parts_of_a_set_share_a_row_and_can_be_shown_separately() -> None:
    files = [make_file(1), make_file(1, run="r2", of=1), make_file(2), make_file(3)]
    whole, single = group_files(files)
    assert (whole.is_set, whole.available, whole.files, whole.size, whole.downloads) == (True, 3, 3, 3000, 3)
    assert (whole.ids, whole.key) == (("r1-1", "r1-2", "r1-3"), "r1:interaction")
    assert whole.name == "Interaction-j1-20261124T100000Z-part-….zip.p7m"
    assert (single.is_set, single.ids, single.sha256) == (False, ("r2-1",), "ab")
    assert [row.is_set for row in group_files(files, each_file=True)] == [False] * 4


def test_A1_a_set_that_spans_two_pages_is_shown_once() -> None:
    first = group_files([make_file(1), make_file(2)])
    assert find_partial_sets(first) == ["r1:interaction"]
    shown_sets = frozenset(find_partial_sets(first))
    second = group_files([make_file(3), make_file(1, run="r2", of=1)], shown_sets=shown_sets)
    assert [row.run_id for row in second] == ["r2"]
    assert first[0].with_totals({"size": 3000, "rows": 30}).size == 3000


def test_A2_expired_files_cannot_be_selected_and_the_remaining_ones_are_counted() -> None:
    expired = make_file(1, state="expired", available=1, of=2, days_remaining=0)
    [row] = group_files([expired, make_file(2, available=1, of=2)])
    assert (row.ids, row.available, row.files, row.state, row.days_remaining, row.retention_days) == (
        ("r1-2",),
        1,
        2,
        "available",
        30,
        30,
    )
    [row] = group_files([make_file(1, of=1, available=0, state="deleted", days_remaining=0)])
    assert (row.ids, row.available, row.state, row.expires_soon) == ((), 0, "deleted", False)
    [row] = group_files([make_file(1, of=1, days_remaining=2)])
    assert row.expires_soon


def test_R5_every_failure_has_its_own_advice() -> None:
    # The codes are the exporter's, which pages cannot import: the architecture's tests keep services apart.
    assert {"source-unavailable", "source-access-refused", "no-certificate", "store-refused", "internal"} <= set(ADVICE)
    assert all(advice.endswith(".") for advice in ADVICE.values())
    assert advise("an unknown code") == ADVICE["internal"] == advise(None)


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        ({"kind": "triggered", "details": {"cause": "run-now"}}, ("Due", "on request", "plain")),
        ({"kind": "started", "details": {"attempt": 2, "exporter": "e1"}}, ("Attempt 2 started", "on e1", "plain")),
        ({"kind": "cancelled", "details": {"reason": "job-deleted"}}, ("Cancelled", "its job was deleted", "warn")),
        (
            {"kind": "files-expired", "details": {"files": 1}},
            ("Files expired", "1 file, at the end of the retention", "plain"),
        ),
        ({"kind": "something-new", "details": None}, ("Something new", "", "plain")),
    ],
)
def test_H2_a_timeline_is_in_plain_words(entry: dict[str, Any], line: tuple[str, str, str]) -> None:
    found = describe_event(entry | {"occurred_at": AT})
    assert (found.event, found.details, found.mark) == line


def test_R1_a_skipped_or_cancelled_run_has_an_explanation() -> None:
    assert explain_state({"state": "skipped", "reason": "overlap"}) == (
        "Not run: the previous run was still in progress."
    )
    assert explain_state({"state": "cancelled", "reason": "requested"}) == "Cancelled: requested by a user."
    assert explain_state({"state": "failed", "reason": "x", "message": "No certificate."}) == "No certificate."
    assert explain_state({"state": "succeeded", "reason": None, "message": None}) == ""


def test_T2_a_timeframe_is_in_plain_words() -> None:
    last = {"settings": {"timeframe": {"kind": "last", "count": 7, "unit": "days"}}}
    assert describe_timeframe(last) == "last 7 days"
    one = {"settings": {"timeframe": {"kind": "last", "count": 1, "unit": "months"}}}
    assert describe_timeframe(one) == "last 1 month"
    assert describe_timeframe({"settings": None}) == "all"


def test_H3_the_time_remaining_has_its_band() -> None:
    def format_estimate(seconds: float, low: float, high: float) -> str:
        return format_time_remaining(RunEstimate(seconds, low, high, AT))

    assert format_estimate(180, 120, 300) == "About 3 min remaining (2 to 5 min)"
    assert format_estimate(42, 30, 300) == "About 42 s remaining (30 s to 5 min)"
    assert format_estimate(7200, 6840, 7560) == "About 2.0 h remaining (1.9 to 2.1 h)"
    assert format_time_remaining(None) == "Time remaining is not known yet"


def test_a_duration_has_up_to_two_units() -> None:
    durations = [format_duration(each) for each in (None, 4.23, 42, 190, 180, 7500)]
    assert durations == ["", "4.2 s", "42 s", "3 min 10 s", "3 min", "2 h 5 min"]


def test_J11_a_day_begins_and_ends_in_utc() -> None:
    assert parse_day("2026-11-24") == "2026-11-24T00:00:00+00:00"
    assert parse_day("2026-11-24", at_end=True) == "2026-11-25T00:00:00+00:00"
    assert parse_day("yesterday") is parse_day("") is parse_day("9999-12-31", at_end=True) is None


def test_H2_a_plot_of_throughput_joins_intervals_too_narrow_to_be_seen() -> None:
    seconds = [0.01 * step for step in range(1, 1001)]
    points = [{"measured_at": AT + timedelta(seconds=at), "rows": 1, "rows_per_second": 100.0} for at in seconds]
    plot = plot_throughput({"started_at": AT, "throughput": points, "duration_seconds": 10.0})
    assert plot is not None
    assert "100 on average, 100 at most" in plot
    assert len(plot.split('class="curve" points="')[1].split('"')[0].split()) <= 2 * 60
    assert plot_throughput({"started_at": None, "throughput": [], "duration_seconds": None}) is None
