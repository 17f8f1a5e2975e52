"""Plots: what they draw, and what they must not hold."""

import re
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from job_api.pages.kit.plots import HEIGHT, WIDTH, Foretold, Rate, brief, foretelling, short, throughput

SVG = "{http://www.w3.org/2000/svg}"
RATES = [Rate(start=0, end=10, per_second=100), Rate(start=10, end=20, per_second=300)]
TOLD = [Foretold(at=5, left=30, low=20, high=50), Foretold(at=15, left=10, low=5, high=18)]


def numbers(plot: str) -> list[float]:
    """Return every place that is drawn at."""
    points = " ".join(re.findall(r'points="([^"]*)"', plot))
    return [float(each) for each in re.split(r"[ ,]", points) if each]


def test_H2_a_plot_of_throughput_says_in_words_what_it_shows() -> None:
    plot = throughput(RATES, length=20)
    assert plot is not None
    tree = ET.fromstring(plot)
    assert tree.attrib["role"] == "img"
    assert tree.attrib["aria-label"] == "Rows a second over time: 200 on average, 300 at most."
    assert [each.attrib["class"] for each in tree if each.tag in {"polygon", "polyline"}] == ["area", "curve"]
    texts = [each.text for each in tree.iter("text")]
    assert texts[:4] == ["0", "100", "200", "300"]


def test_H2_the_estimate_is_drawn_beside_what_came_true_once_that_is_known() -> None:
    running, ended = foretelling(TOLD, length=20, ended=False), foretelling(TOLD, length=20, ended=True)
    assert running is not None
    assert ended is not None
    assert ('class="truth"' in running, 'class="truth"' in ended) == (False, True)
    assert 'class="band"' in running


def test_too_little_is_not_drawn() -> None:
    assert throughput(RATES[:1], length=20) is None
    assert throughput([], length=20) is None
    assert throughput(RATES, length=0) is None
    assert foretelling(TOLD[:1], length=20, ended=True) is None


def test_U4_a_plot_has_nothing_that_the_content_policy_forbids() -> None:
    for plot in (throughput(RATES, length=20), foretelling(TOLD, length=20, ended=True)):
        assert plot is not None
        assert not re.search(r"<script|<style|style=|\son[a-z]+=|href|url\(", plot)


@given(
    st.lists(st.floats(0, 1e9), min_size=2, max_size=30),
    st.floats(0.001, 1e7),
)
def test_whatever_the_rates_all_is_drawn_inside_the_picture(rates: list[float], length: float) -> None:
    step = length / len(rates)
    drawn = throughput(
        [Rate(start=at * step, end=(at + 1) * step, per_second=each) for at, each in enumerate(rates)], length=length
    )
    assert drawn is not None
    assert all(0 <= each <= max(WIDTH, HEIGHT) for each in numbers(drawn))
    assert 2 <= drawn.count('class="mark left"') <= 7


@given(
    st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e7)), min_size=2, max_size=30),
    st.floats(0.001, 1e6),
    st.booleans(),
)
def test_whatever_was_foretold_all_is_drawn_inside_the_picture(
    told: list[tuple[float, float]], length: float, ended: bool
) -> None:
    points = [Foretold(at=at, left=left, low=left / 2, high=left * 2) for at, left in sorted(told)]
    drawn = foretelling(points, length=length, ended=ended)
    assert drawn is not None
    assert all(0 <= each <= WIDTH for each in numbers(drawn))
    assert drawn.count("<text") <= 20


def test_axes_are_said_in_few_characters() -> None:
    assert [short(each) for each in (0, 0.5, 12, 1500, 2_500_000, 3e9)] == ["0", "0.5", "12", "1.5k", "2.5M", "3G"]
    assert [brief(each) for each in (0, 30, 90, 3600, 172_800)] == ["0 s", "30 s", "90 s", "1 h", "2 d"]
