"""The estimator: never wrong in kind, and right in the plain cases."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from history.estimating.estimator import Estimator, estimate
from history.estimating.estimator.following import Following
from history.estimating.estimator.observed import EarlierRun, Progress
from tests.bench.eta.traces import KINDS, Event, Trace, traces, without_earlier

LINE = [step / 20 for step in range(21)]


def earlier(duration: float, units: int = 1000, curve: list[float] | None = None, at: float = 0.0) -> dict[str, object]:
    known = {"run_id": "e", "started_at": at, "duration": duration, "units_total": units, "bytes": units}
    return {**known, "status": "succeeded", "curve": curve or LINE}


def event(ts: float, done: int, total: int | None = 1000) -> Event:
    return Event("run", ts, done, total, done)


def seconds(found: tuple[float | None, float | None, float | None]) -> float:
    assert found[0] is not None
    return found[0]


def test_H4_nothing_is_said_where_nothing_can_be_known() -> None:
    assert estimate([], [], 0.0) == (None, None, None)
    assert estimate([], [event(0, 0)], 1.0) == (None, None, None)
    assert estimate([], [event(0, 0, None), event(1, 50, None)], 1.0) == (None, None, None)


def test_H4_before_anything_is_done_the_earlier_runs_tell() -> None:
    assert seconds(estimate([earlier(100.0)] * 3, [], 0.0)) == pytest.approx(100, rel=0.05)
    left, low, high = estimate([earlier(100.0)] * 3, [event(0, 0)], 10.0)
    assert left is not None
    assert low is not None
    assert high is not None
    assert left == pytest.approx(90, rel=0.05)
    assert low < left < high


def test_H4_a_larger_run_is_expected_to_take_longer() -> None:
    runs = [earlier(100.0, 1000), earlier(200.0, 2000), earlier(400.0, 4000)]
    assert seconds(estimate(runs, [event(0, 0, 4000)], 0.0)) > 2 * seconds(estimate(runs, [event(0, 0, 1000)], 0.0))


def test_H4_a_steady_run_is_foretold_from_its_pace() -> None:
    events = [event(float(second), second * 10) for second in range(51)]
    assert seconds(estimate([], events, 50.0)) == pytest.approx(50, rel=0.05)


def test_H4_the_known_course_of_the_job_is_taken_into_account() -> None:
    slow_end = [min(1.0, (step / 20) ** 2) for step in range(21)]  # half of the units are done after a quarter
    events = [event(float(second), int(1000 * math.sqrt(second / 100))) for second in range(26)]
    assert seconds(estimate([earlier(100.0, curve=slow_end)] * 4, events, 25.0)) == pytest.approx(75, rel=0.1)
    assert seconds(estimate([], events, 25.0)) < 60


def test_H4_a_silent_tail_is_expected_where_earlier_runs_had_one() -> None:
    tail = [0.7 * step / 20 for step in range(21)]
    events = [event(float(second), int(1000 * second / 70)) for second in range(71)]
    assert seconds(estimate([earlier(100.0, curve=tail)] * 4, events, 80.0)) == pytest.approx(20, rel=0.25)


def test_H4_a_standing_stall_is_expected_to_last_half_as_long_again() -> None:
    events = [event(float(second), second * 10) for second in range(51)]
    moving, still = seconds(estimate([], events, 50.0)), seconds(estimate([], events, 70.0))
    assert still == pytest.approx(moving + 10, rel=0.15)


def test_H4_the_slowest_slice_decides() -> None:
    def shared(second: int) -> Event:
        slices = [(min(500, second * 20), 500), (second * 5, 500)]
        return Event("run", float(second), sum(done for done, _ in slices), 1000, 0, slices)

    assert seconds(estimate([], [shared(second) for second in range(31)], 30.0)) == pytest.approx(70, rel=0.1)


@pytest.mark.parametrize("run", traces(2 * len(KINDS), seed=3), ids=lambda run: f"{run.kind}-{len(run.earlier)}")
def test_H4_no_answer_is_negative_or_nan_and_the_state_stays_small(run: Trace) -> None:
    for each in (run, without_earlier(run)):
        estimator = Estimator()
        estimator.reset(each.earlier)
        for told in each.events:
            estimator.push(told)
            for found in (estimator.eta(told.ts), estimator.eta(told.ts + 1000)):
                if found[0] is not None:
                    assert 0 < found[1] <= found[0] <= found[2] < math.inf
        assert len(json.dumps(estimator.dump())) <= 16 * 1024


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.integers(0, 10**12), st.none() | st.integers(0, 10**12)),
        min_size=1,
        max_size=60,
    ),
    st.lists(st.tuples(st.floats(0, 1e7), st.integers(0, 10**12)), max_size=5),
    st.floats(0, 2e6),
)
def test_H4_whatever_comes_the_answer_is_a_time_or_none(
    told: list[tuple[float, int, int | None]], before: list[tuple[float, int]], now: float
) -> None:
    runs = [earlier(duration, units) for duration, units in before]
    left, low, high = estimate(runs, [event(ts, done, total) for ts, done, total in told], now)
    if left is None:
        assert (low, high) == (None, None)
    else:
        assert 0 < low <= left <= high < math.inf  # type: ignore[operator]


def test_what_was_dumped_goes_on_as_if_nothing_had_happened() -> None:
    [run] = traces(1, seed=9)
    whole, first = Estimator(), Estimator()
    whole.reset(run.earlier)
    first.reset(run.earlier)
    middle = len(run.events) // 2
    for each in run.events[:middle]:
        whole.push(each)
        first.push(each)
    second = Estimator.load(json.loads(json.dumps(first.dump())), run.earlier)
    for each in run.events[middle:]:
        whole.push(each)
        second.push(each)
    assert second.eta(run.events[-1].ts) == pytest.approx(whole.eta(run.events[-1].ts))


def test_the_course_of_an_ended_run_is_learnt() -> None:
    estimator = Estimator()
    estimator.reset([])
    for second in range(51):
        estimator.push(event(float(second), second * 20))
    curve = estimator.curve(1000, 100.0)
    assert curve is not None
    assert curve[0] == 0
    assert curve[10] == pytest.approx(0.25, abs=0.01)
    assert curve[20] == pytest.approx(0.5, abs=0.01)


def test_H4_shown_progress_never_goes_backwards_nor_reaches_the_end_while_running() -> None:
    following = Following.begin([])
    shares = []
    for ts, done, total in ((0, 10, 100), (1, 50, 100), (2, 20, 100), (3, 60, 200), (4, 100, 100)):
        following.push(Progress(run_id="r", ts=ts, units_done=done, units_total=total, bytes=0))
        shares.append(following.share)
    assert shares == [0.1, 0.5, 0.5, 0.5, 0.999]


def test_H5_the_score_is_of_all_that_was_shown() -> None:
    following = Following.begin([])
    for second in range(300):
        following.push(Progress(run_id="r", ts=second, units_done=second, units_total=300, bytes=0))
        following.eta(float(second))
    score = following.score(0.0, 300.0)
    assert score is not None
    assert score[0] < 0.02
    assert 0 <= score[1] <= 1
    assert sum(each.count for each in following.shown) == 299
    assert len(following.shown) <= 64


def test_H4_what_is_left_of_waiting_in_the_queue_is_counted() -> None:
    waits = [50.0, 60.0, 70.0]
    waiting, at_once = Following.begin(known([100.0] * 3), waits), Following.begin(known([100.0] * 3))
    waiting.queued(1000.0)
    assert seconds(waiting.eta(1010.0)) - seconds(at_once.eta(1010.0)) == pytest.approx(50)
    overdue = seconds(waiting.eta(1080.0)) - seconds(at_once.eta(1080.0))
    assert overdue == pytest.approx(10), "a wait that is 20 s overdue is expected to last 10 s more"
    waiting.started(1080.0)
    at_once.started(1080.0)
    assert seconds(waiting.eta(1081.0)) == pytest.approx(seconds(at_once.eta(1081.0)), rel=0.3)


def known(durations: list[float]) -> list[EarlierRun]:
    return [EarlierRun.of(earlier(duration)) for duration in durations]


def test_H4_the_band_widens_the_longer_a_run_stands_still() -> None:
    estimator = Estimator()
    estimator.reset([])
    for second in range(101):
        estimator.push(event(float(second), second * 5))
    widths = []
    for silent in (1.0, 30.0, 60.0, 120.0):
        left, low, high = estimator.eta(100.0 + silent)
        assert left is not None
        assert low is not None
        assert high is not None
        assert 0 < low < left < high
        widths.append(high - low)
    assert widths == sorted(widths)
    assert widths[-1] > widths[0] + 2 * 100
