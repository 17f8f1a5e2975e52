"""The estimator: always a valid answer, and the right one in plain cases."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from history.estimating.estimator import EarlierRun, Estimator, ProgressSample, estimate
from history.estimating.estimator.followed_run import FollowedRun
from tests.bench.eta.traces import KINDS, Event, Trace, generate_traces, without_earlier_runs
from tests.support.properties import many_examples

LINE = [step / 20 for step in range(21)]


def earlier(duration: float, units: int = 1000, curve: list[float] | None = None, at: float = 0.0) -> dict[str, object]:
    fields = {"run_id": "e", "started_at": at, "duration": duration, "units_total": units, "bytes": units}
    return {**fields, "status": "succeeded", "curve": curve or LINE}


def event(ts: float, done: int, total: int | None = 1000) -> Event:
    return Event("run", ts, done, total, done)


def median_of(remaining: tuple[float | None, float | None, float | None]) -> float:
    assert remaining[0] is not None
    return remaining[0]


def test_H4_there_is_no_estimate_while_nothing_is_known() -> None:
    assert estimate([], [], 0.0) == (None, None, None)
    assert estimate([], [event(0, 0)], 1.0) == (None, None, None)
    assert estimate([], [event(0, 0, None), event(1, 50, None)], 1.0) == (None, None, None)


def test_H4_before_the_first_unit_the_earlier_runs_give_the_estimate() -> None:
    assert median_of(estimate([earlier(100.0)] * 3, [], 0.0)) == pytest.approx(100, rel=0.05)
    median, low, high = estimate([earlier(100.0)] * 3, [event(0, 0)], 10.0)
    assert median is not None
    assert low is not None
    assert high is not None
    assert median == pytest.approx(90, rel=0.05)
    assert low < median < high


def test_H4_a_larger_run_is_expected_to_take_longer() -> None:
    runs = [earlier(100.0, 1000), earlier(200.0, 2000), earlier(400.0, 4000)]
    assert median_of(estimate(runs, [event(0, 0, 4000)], 0.0)) > 2 * median_of(estimate(runs, [event(0, 0, 1000)], 0.0))


def test_H4_a_steady_run_is_estimated_from_its_pace() -> None:
    events = [event(float(second), second * 10) for second in range(51)]
    assert median_of(estimate([], events, 50.0)) == pytest.approx(50, rel=0.05)


def test_H4_the_time_curve_of_the_job_is_taken_into_account() -> None:
    slow_end = [min(1.0, (step / 20) ** 2) for step in range(21)]  # half of the units are done after a quarter
    events = [event(float(second), int(1000 * math.sqrt(second / 100))) for second in range(26)]
    assert median_of(estimate([earlier(100.0, curve=slow_end)] * 4, events, 25.0)) == pytest.approx(75, rel=0.1)
    assert median_of(estimate([], events, 25.0)) < 60


def test_H4_a_silent_tail_is_expected_where_earlier_runs_had_one() -> None:
    tail = [0.7 * step / 20 for step in range(21)]
    events = [event(float(second), int(1000 * second / 70)) for second in range(71)]
    assert median_of(estimate([earlier(100.0, curve=tail)] * 4, events, 80.0)) == pytest.approx(20, rel=0.25)


def test_H4_a_stall_in_progress_is_expected_to_last_half_as_long_again() -> None:
    events = [event(float(second), second * 10) for second in range(51)]
    moving, still = median_of(estimate([], events, 50.0)), median_of(estimate([], events, 70.0))
    assert still == pytest.approx(moving + 10, rel=0.15)


def test_H4_the_slowest_slice_decides() -> None:
    def shared(second: int) -> Event:
        slices = [(min(500, second * 20), 500), (second * 5, 500)]
        return Event("run", float(second), sum(done for done, _ in slices), 1000, 0, slices)

    assert median_of(estimate([], [shared(second) for second in range(31)], 30.0)) == pytest.approx(70, rel=0.1)


@pytest.mark.parametrize(
    "run", generate_traces(2 * len(KINDS), seed=3), ids=lambda run: f"{run.kind}-{len(run.earlier)}"
)
def test_H4_no_estimate_is_negative_or_nan_and_the_state_stays_small(run: Trace) -> None:
    for each in (run, without_earlier_runs(run)):
        estimator = Estimator()
        estimator.reset(each.earlier)
        for sample in each.events:
            estimator.observe(sample)
            for remaining in (estimator.estimate(sample.ts), estimator.estimate(sample.ts + 1000)):
                if remaining[0] is not None:
                    assert 0 < remaining[1] <= remaining[0] <= remaining[2] < math.inf
        assert len(json.dumps(estimator.dump())) <= 16 * 1024


@many_examples(2)
@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.integers(0, 10**12), st.none() | st.integers(0, 10**12)),
        min_size=1,
        max_size=60,
    ),
    st.lists(st.tuples(st.floats(0, 1e7), st.integers(0, 10**12)), max_size=5),
    st.floats(0, 2e6),
)
def test_H4_any_input_gives_a_valid_estimate_or_none(
    samples: list[tuple[float, int, int | None]], before: list[tuple[float, int]], now: float
) -> None:
    runs = [earlier(duration, units) for duration, units in before]
    median, low, high = estimate(runs, [event(ts, done, total) for ts, done, total in samples], now)
    if median is None:
        assert (low, high) == (None, None)
    else:
        assert 0 < low <= median <= high < math.inf  # type: ignore[operator]


def test_a_loaded_estimator_continues_exactly_where_the_dumped_one_stopped() -> None:
    [run] = generate_traces(1, seed=9)
    whole, first = Estimator(), Estimator()
    whole.reset(run.earlier)
    first.reset(run.earlier)
    middle = len(run.events) // 2
    for each in run.events[:middle]:
        whole.observe(each)
        first.observe(each)
    second = Estimator.load(json.loads(json.dumps(first.dump())), run.earlier)
    for each in run.events[middle:]:
        whole.observe(each)
        second.observe(each)
    assert second.estimate(run.events[-1].ts) == pytest.approx(whole.estimate(run.events[-1].ts))


def test_earlier_runs_of_hardly_any_duration_give_a_valid_estimate() -> None:
    runs = [earlier(1.0, 0), earlier(2e-313, 4)]
    assert median_of(estimate(runs, [event(0, 0, 7), event(1, 1, 7)], 0.0)) > 0


def test_the_time_curve_of_an_ended_run_is_measured() -> None:
    estimator = Estimator()
    estimator.reset([])
    for second in range(51):
        estimator.observe(event(float(second), second * 20))
    curve = estimator.time_curve(1000, 100.0)
    assert curve is not None
    assert curve[0] == 0
    assert curve[10] == pytest.approx(0.25, abs=0.01)
    assert curve[20] == pytest.approx(0.5, abs=0.01)


def test_H4_displayed_progress_never_decreases_and_stays_below_1_while_running() -> None:
    followed = FollowedRun.begin([])
    shown = []
    for ts, done, total in ((0, 10, 100), (1, 50, 100), (2, 20, 100), (3, 60, 200), (4, 100, 100)):
        followed.observe(ProgressSample(run_id="r", ts=ts, units_done=done, units_total=total, bytes=0))
        shown.append(followed.progress)
    assert shown == [0.1, 0.5, 0.5, 0.5, 0.999]


def test_H5_the_score_covers_every_displayed_estimate() -> None:
    followed = FollowedRun.begin([])
    for second in range(300):
        followed.observe(ProgressSample(run_id="r", ts=second, units_done=second, units_total=300, bytes=0))
        followed.estimate(float(second))
    score = followed.score(0.0, 300.0)
    assert score is not None
    assert score[0] < 0.02
    assert 0 <= score[1] <= 1
    assert sum(each.count for each in followed.displayed) == 299
    assert len(followed.displayed) <= 64


def test_H4_the_remaining_wait_in_the_queue_is_included() -> None:
    waits = [50.0, 60.0, 70.0]
    waiting, at_once = FollowedRun.begin(earlier_runs([100.0] * 3), waits), FollowedRun.begin(earlier_runs([100.0] * 3))
    waiting.mark_queued(1000.0)
    assert median_of(waiting.estimate(1010.0)) - median_of(at_once.estimate(1010.0)) == pytest.approx(50)
    overdue = median_of(waiting.estimate(1080.0)) - median_of(at_once.estimate(1080.0))
    assert overdue == pytest.approx(10), "a wait that is 20 s overdue is expected to last 10 s more"
    waiting.mark_started(1080.0)
    at_once.mark_started(1080.0)
    assert median_of(waiting.estimate(1081.0)) == pytest.approx(median_of(at_once.estimate(1081.0)), rel=0.3)


def earlier_runs(durations: list[float]) -> list[EarlierRun]:
    return [EarlierRun.from_object(earlier(duration)) for duration in durations]


def test_H4_the_band_widens_the_longer_a_run_is_stalled() -> None:
    estimator = Estimator()
    estimator.reset([])
    for second in range(101):
        estimator.observe(event(float(second), second * 5))
    widths = []
    for idle in (1.0, 30.0, 60.0, 120.0):
        median, low, high = estimator.estimate(100.0 + idle)
        assert median is not None
        assert low is not None
        assert high is not None
        assert 0 < low < median < high
        widths.append(high - low)
    assert widths == sorted(widths)
    assert widths[-1] > widths[0] + 2 * 100
