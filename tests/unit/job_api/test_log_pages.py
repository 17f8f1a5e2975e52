"""What the pages of history say: words of runs, and files as sets."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from job_api.pages.kit.lists import day
from job_api.pages.kit.rendering import time_left
from job_api.pages.runs.descriptions import TO_DO, lasted, line, to_do, why, window
from job_api.pages.runs.file_sets import rows_of, unfinished
from job_api.pages.runs.run_details import throughput_of

AT = datetime(2026, 11, 24, 10, tzinfo=UTC)


def file(number: int, *, run: str = "r1", of: int = 3, there: int | None = None, **changes: Any) -> dict[str, Any]:
    known = {
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
        "set_available": of if there is None else there,
        "downloads": 1,
        "sha256": "ab",
    }
    return known | changes


def test_A1_the_parts_of_a_set_are_one_row_and_each_can_be_shown() -> None:
    files = [file(1), file(1, run="r2", of=1), file(2), file(3)]
    whole, single = rows_of(files)
    assert (whole.is_set, whole.available, whole.files, whole.size, whole.downloads) == (True, 3, 3, 3000, 3)
    assert (whole.ids, whole.key) == (("r1-1", "r1-2", "r1-3"), "r1:interaction")
    assert whole.name == "Interaction-j1-20261124T100000Z-part-….zip.p7m"
    assert (single.is_set, single.ids, single.sha256) == (False, ("r2-1",), "ab")
    assert [row.is_set for row in rows_of(files, each=True)] == [False] * 4


def test_A1_a_set_that_lies_on_two_pages_is_shown_once() -> None:
    first = rows_of([file(1), file(2)])
    assert unfinished(first) == ["r1:interaction"]
    second = rows_of([file(3), file(1, run="r2", of=1)], passed=frozenset(unfinished(first)))
    assert [row.run_id for row in second] == ["r2"]
    assert first[0].whole({"size": 3000, "rows": 30}).size == 3000


def test_A2_what_is_gone_cannot_be_chosen_and_what_is_left_is_counted() -> None:
    gone = file(1, state="expired", there=1, of=2, days_remaining=0)
    [row] = rows_of([gone, file(2, there=1, of=2)])
    assert (row.ids, row.available, row.files, row.state, row.days, row.of_days) == (
        ("r1-2",),
        1,
        2,
        "available",
        30,
        30,
    )
    [row] = rows_of([file(1, of=1, there=0, state="deleted", days_remaining=0)])
    assert (row.ids, row.available, row.state, row.soon) == ((), 0, "deleted", False)
    [row] = rows_of([file(1, of=1, days_remaining=2)])
    assert row.soon


def test_R5_every_failure_has_its_own_words_of_what_to_do() -> None:
    # The codes are the exporter's, which pages cannot import: the architecture's tests hold services apart.
    assert {"source-unavailable", "source-access-refused", "no-certificate", "store-refused", "internal"} <= set(TO_DO)
    assert all(words.endswith((".", "below.")) for words in TO_DO.values())
    assert to_do("something new") == TO_DO["internal"] == to_do(None)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "triggered", "details": {"cause": "run-now"}}, ("Due", "started by hand", "plain")),
        ({"kind": "started", "details": {"attempt": 2, "exporter": "e1"}}, ("Attempt 2 started", "on e1", "plain")),
        ({"kind": "cancelled", "details": {"reason": "job-deleted"}}, ("Cancelled", "its job was deleted", "warn")),
        ({"kind": "files-expired", "details": {"files": 1}}, ("Files removed", "1 file: their time was over", "plain")),
        ({"kind": "something-new", "details": None}, ("Something new", "", "plain")),
    ],
)
def test_H2_a_timeline_is_told_in_words(entry: dict[str, Any], said: tuple[str, str, str]) -> None:
    found = line(entry | {"at": AT})
    assert (found.what, found.more, found.mark) == said


def test_R1_why_a_run_was_skipped_or_cancelled_is_said() -> None:
    assert why({"state": "skipped", "reason": "overlap"}) == "Not run: the run before was still in progress."
    assert why({"state": "cancelled", "reason": "requested"}) == "Cancelled: somebody asked for it."
    assert why({"state": "failed", "reason": "x", "message": "No certificate."}) == "No certificate."
    assert why({"state": "succeeded", "reason": None, "message": None}) == ""


def test_T2_a_window_is_said_in_words() -> None:
    last = {"settings": {"timeframe": {"kind": "last", "count": 7, "unit": "days"}}}
    assert window(last) == "the last 7 days"
    assert window({"settings": {"timeframe": {"kind": "last", "count": 1, "unit": "months"}}}) == "the last month"
    assert window({"settings": None}) == "all records"


def test_H3_the_time_left_is_said_as_people_say_it() -> None:
    assert time_left(180, 120, 300) == "about 3 min, 2 to 5 min left"
    assert time_left(42, 30, 300) == "about 42 s, 30 s to 5 min left"
    assert time_left(7200, None, None) == "about 2.0 h left"
    assert time_left(None, None, None) == "the time left is not known yet"


def test_how_long_something_took_is_said_exactly_enough() -> None:
    said = [lasted(each) for each in (None, 4.23, 42, 190, 180, 7500)]
    assert said == ["", "4.2 s", "42 s", "3 min 10 s", "3 min", "2 h 5 min"]


def test_J11_a_day_that_is_typed_is_one_in_utc() -> None:
    assert day("2026-11-24") == "2026-11-24T00:00:00+00:00"
    assert day("2026-11-24", after=True) == "2026-11-25T00:00:00+00:00"
    assert day("yesterday") is day("") is day("9999-12-31", after=True) is None


def test_H2_a_plot_of_throughput_joins_what_is_too_narrow_to_be_seen() -> None:
    seconds = [0.01 * step for step in range(1, 1001)]
    points = [{"at": AT + timedelta(seconds=at), "rows": 1, "rows_per_second": 100.0} for at in seconds]
    plot = throughput_of({"started_at": AT, "throughput": points, "duration_seconds": 10.0})
    assert plot is not None
    assert "100 on average, 100 at most" in plot
    assert len(plot.split('class="curve" points="')[1].split('"')[0].split()) <= 2 * 60
    assert throughput_of({"started_at": None, "throughput": [], "duration_seconds": None}) is None
