"""Plots: what they draw, and what they must not contain."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_api.pages.kit.plots import (
    HEIGHT,
    WIDTH,
    Bar,
    Forecast,
    ThroughputInterval,
    duration_bars,
    forecast_plot,
    format_axis_duration,
    format_quantity,
    row_bars,
    throughput_plot,
)

INTERVALS = [
    ThroughputInterval(start=0, end=10, rows_per_second=100),
    ThroughputInterval(start=10, end=20, rows_per_second=300),
]
FORECASTS = [Forecast(at=5, remaining=30, low=20, high=50), Forecast(at=15, remaining=10, low=5, high=18)]


def parse_coordinates(plot: str) -> list[float]:
    """Return every coordinate of the lines and areas of a plot."""
    points = " ".join(re.findall(r'points="([^"]*)"', plot))
    return [float(each) for each in re.split(r"[ ,]", points) if each]


def test_H2_a_plot_of_throughput_has_a_text_alternative() -> None:
    plot = throughput_plot(INTERVALS, length=20)
    assert plot is not None
    tree = ET.fromstring(plot)
    assert tree.attrib["role"] == "img"
    assert tree.attrib["aria-label"] == "Rows per second over time: 200 on average, 300 at most."
    assert [each.attrib["class"] for each in tree if each.tag in {"polygon", "polyline"}] == ["area", "curve"]
    texts = [each.text for each in tree.iter("text")]
    assert texts[:4] == ["0", "100", "200", "300"]


def test_H2_the_actual_time_remaining_is_drawn_once_the_run_has_ended() -> None:
    running = forecast_plot(FORECASTS, length=20, ended=False)
    ended = forecast_plot(FORECASTS, length=20, ended=True)
    assert running is not None
    assert ended is not None
    assert ('class="actual"' in running, 'class="actual"' in ended) == (False, True)
    assert 'class="band"' in running


def test_too_few_values_are_not_drawn() -> None:
    assert throughput_plot(INTERVALS[:1], length=20) is None
    assert throughput_plot([], length=20) is None
    assert throughput_plot(INTERVALS, length=0) is None
    assert forecast_plot(FORECASTS[:1], length=20, ended=True) is None


def test_U4_a_plot_contains_nothing_that_the_content_policy_forbids() -> None:
    for plot in (throughput_plot(INTERVALS, length=20), forecast_plot(FORECASTS, length=20, ended=True)):
        assert plot is not None
        assert not re.search(r"<script|<style|style=|\son[a-z]+=|href|url\(", plot)


@given(
    st.lists(st.floats(0, 1e9), min_size=2, max_size=30),
    st.floats(0.001, 1e7),
)
def test_any_throughput_is_drawn_inside_the_picture(rates: list[float], length: float) -> None:
    step = length / len(rates)
    intervals = [
        ThroughputInterval(start=number * step, end=(number + 1) * step, rows_per_second=rate)
        for number, rate in enumerate(rates)
    ]
    plot = throughput_plot(intervals, length=length)
    assert plot is not None
    assert all(0 <= each <= max(WIDTH, HEIGHT) for each in parse_coordinates(plot))
    assert 2 <= plot.count('class="mark left"') <= 7


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e7)), min_size=2, max_size=30),
    st.floats(0.001, 1e6),
    st.booleans(),
)
def test_any_forecast_is_drawn_inside_the_picture(
    values: list[tuple[float, float]], length: float, ended: bool
) -> None:
    forecasts = [
        Forecast(at=at, remaining=remaining, low=remaining / 2, high=remaining * 2) for at, remaining in sorted(values)
    ]
    plot = forecast_plot(forecasts, length=length, ended=ended)
    assert plot is not None
    assert all(0 <= each <= WIDTH for each in parse_coordinates(plot))
    assert plot.count("<text") <= 20


def test_axes_use_few_characters() -> None:
    quantities = [format_quantity(each) for each in (0, 0.5, 12, 1500, 2_500_000, 3e9)]
    assert quantities == ["0", "0.5", "12", "1.5k", "2.5M", "3G"]
    durations = [format_axis_duration(each) for each in (0, 30, 90, 3600, 172_800)]
    assert durations == ["0 s", "30 s", "90 s", "1 h", "2 d"]


def test_J4_a_plot_of_runs_has_a_bar_for_each_with_its_text_and_state() -> None:
    bars = [Bar(30, "first: <30 s>", "succeeded"), Bar(90, "second", "failed"), Bar(60, "third", "succeeded")]
    plot = duration_bars(bars)
    assert plot is not None
    tree = ET.fromstring(plot)
    assert tree.attrib["aria-label"] == "Duration of the last 3 runs: 30 s to 90 s, 1 min the last time."
    drawn = [each for each in tree if each.tag == "rect"]
    assert [each.attrib["class"] for each in drawn] == ["bar succeeded", "bar failed", "bar succeeded"]
    assert [title.text for each in drawn for title in each] == ["first: <30 s>", "second", "third"]
    heights = [float(each.attrib["height"]) for each in drawn]
    assert heights[1] == max(heights)
    assert heights[0] == pytest.approx(heights[1] / 3, abs=0.2)
    assert all(0 < float(each.attrib["x"]) <= WIDTH for each in drawn)
    assert row_bars(bars[:1]) is None
    assert row_bars([Bar(0, "", "succeeded")] * 2) is not None
