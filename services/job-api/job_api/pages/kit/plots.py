"""Plots as SVG: coloured by the stylesheet, without the inline styles and scripts that the content policy forbids."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 14, 12, 34
_WIDEST_BAR = 60
_STEPS = (1, 2, 2.5, 5, 10, 20)
_DURATIONS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_UNITS = (1, "s"), (60, "min"), (3600, "h"), (86400, "d")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputInterval:
    """The mean rate in rows per second between `start` and `end`, in seconds since the run's start."""

    start: float
    end: float
    rows_per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """An estimate made `at` so many seconds after the run's start: the seconds remaining, as median and band."""

    at: float
    remaining: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A run in a plot of runs: its value, the text shown on pointing at it, and the state that colours it."""

    value: float
    title: str
    state: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """Maps values to coordinates of the picture; both axes begin at 0."""

    widest: float
    highest: float

    def x(self, value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, value / self.widest))

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * min(1.0, max(0.0, value / self.highest))

    def line(self, points: Sequence[Point]) -> str:
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)


@dataclass(frozen=True, slots=True)
class _Axis:
    """The marks of the vertical axis, and how they are written."""

    marks: Sequence[float]
    format: Callable[[float], str]


def throughput_plot(intervals: Sequence[ThroughputInterval], *, length: float) -> Markup | None:
    """Return a plot of rows per second over `length` seconds, or None when there is too little to draw."""
    if len(intervals) < 2 or length <= 0:
        return None
    highest = max(each.rows_per_second for each in intervals)
    marks = _quantity_marks(max(highest, 1.0))
    frame = _Frame(max(length, intervals[-1].end), max(marks[-1], highest))
    steps = [point for each in intervals for point in _ends(each)]
    area = [(steps[0][0], 0.0), *steps, (steps[-1][0], 0.0)]
    rows = sum(each.rows_per_second * (each.end - each.start) for each in intervals)
    mean = rows / max(sum(each.end - each.start for each in intervals), 1e-9)
    drawing = (
        f'<polygon class="area" points="{frame.line(area)}"/>'
        f'<polyline class="curve" points="{frame.line(steps)}"/>'
        f'<line class="mean" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{frame.y(mean):.1f}" y2="{frame.y(mean):.1f}"/>'
    )
    label = f"Rows per second over time: {format_quantity(mean)} on average, {format_quantity(highest)} at most."
    return _render(frame, _Axis(marks, format_quantity), label, drawing)


def forecast_plot(forecasts: Sequence[Forecast], *, length: float, ended: bool) -> Markup | None:
    """Return a plot of the estimated time remaining, and of the actual one once a run has `ended`.

    `length` is the duration of the run so far, in seconds. Returns None when there is too little to draw.
    """
    if len(forecasts) < 2 or length <= 0:
        return None
    marks = _duration_marks(_highest_remaining(forecasts, length, ended))
    frame = _Frame(max(length, forecasts[-1].at), max(marks[-1], _highest_remaining(forecasts, length, ended)))
    band = [(each.at, each.high) for each in forecasts] + [(each.at, each.low) for each in reversed(forecasts)]
    drawing = (
        f'<polygon class="band" points="{frame.line(band)}"/>'
        f'<polyline class="curve" points="{frame.line([(each.at, each.remaining) for each in forecasts])}"/>'
    )
    label = f"Estimated time remaining, at {len(forecasts)} instants"
    if ended:
        drawing += f'<polyline class="actual" points="{frame.line([(0.0, length), (length, 0.0)])}"/>'
        label += ", and the actual time remaining"
    return _render(frame, _Axis(marks, format_axis_duration), f"{label}.", drawing)


def duration_bars(bars: Sequence[Bar]) -> Markup | None:
    """Return a plot of the durations of runs, in seconds, or None for fewer than two."""
    return _bar_plot(bars, "Duration", format_axis_duration, _duration_marks)


def row_bars(bars: Sequence[Bar]) -> Markup | None:
    """Return a plot of the rows of runs, or None for fewer than two."""
    return _bar_plot(bars, "Rows", format_quantity, _quantity_marks)


def _bar_plot(
    bars: Sequence[Bar], what: str, write: Callable[[float], str], find_marks: Callable[[float], list[float]]
) -> Markup | None:
    if len(bars) < 2:
        return None
    values = [each.value for each in bars]
    marks = find_marks(max(*values, 1.0))
    frame, width = _Frame(len(bars), marks[-1]), (WIDTH - _LEFT - _RIGHT) / len(bars)
    drawing = "".join(
        f'<rect class="bar {escape(bar.state)}" x="{frame.x(number) + width * 0.12:.1f}" y="{frame.y(bar.value):.1f}"'
        f' width="{min(width * 0.76, _WIDEST_BAR):.1f}" height="{frame.y(0) - frame.y(bar.value):.1f}">'
        f"<title>{escape(bar.title)}</title></rect>"
        for number, bar in enumerate(bars)
    )
    label = (
        f"{what} of the last {len(bars)} runs: {write(min(values))} to {write(max(values))}, "
        f"{write(values[-1])} the last time."
    )
    return _render(frame, _Axis(marks, write), label, drawing, has_ticks=False)


def format_quantity(value: float) -> str:
    """Return a quantity in a few characters, for an axis: 1.5k, 2.5M."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def format_axis_duration(seconds: float) -> str:
    """Return a duration in a few characters, for an axis: 30 s, 1 h."""
    if seconds < 120 and seconds % 60:
        return f"{seconds:.3g} s"
    size, unit = next(((size, unit) for size, unit in reversed(_UNITS) if seconds >= size), (1, "s"))
    return f"{seconds / size:.3g} {unit}"


def _ends(interval: ThroughputInterval) -> tuple[Point, Point]:
    return (interval.start, interval.rows_per_second), (interval.end, interval.rows_per_second)


def _highest_remaining(forecasts: Sequence[Forecast], length: float, ended: bool) -> float:
    highest = max(each.remaining for each in forecasts)
    # The first estimates may be far off: they are cut off where they would flatten the rest of the curve.
    highest = min(max(highest, length), 3 * length) if ended else highest
    return max(highest, min(max(each.high for each in forecasts), 1.5 * highest), 1.0)


def _render(frame: _Frame, axis: _Axis, label: str, drawing: str, *, has_ticks: bool = True) -> Markup:
    grid = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{frame.y(mark):.1f}" y2="{frame.y(mark):.1f}"/>'
        f'<text class="mark left" x="{_LEFT - 8}" y="{frame.y(mark) + 4:.1f}">{escape(axis.format(mark))}</text>'
        for mark in axis.marks
    )
    ticks = "".join(
        f'<line class="tick" x1="{frame.x(at):.1f}" x2="{frame.x(at):.1f}" y1="{HEIGHT - _BOTTOM}"'
        f' y2="{HEIGHT - _BOTTOM + 5}"/>'
        f'<text class="mark below" x="{frame.x(at):.1f}" y="{HEIGHT - _BOTTOM + 20}">'
        f"{escape(format_axis_duration(at))}</text>"
        for at in (_duration_marks(frame.widest, beyond=False) if has_ticks else ())
    )
    return Markup(  # noqa: S704 - every piece is a number, constant, or escaped
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"<title>{escape(label)}</title>{grid}{ticks}{drawing}</svg>"
    )


def _quantity_marks(highest: float) -> list[float]:
    """Return 2 to 6 round values from 0 to the highest, or just above it."""
    rough = highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    return _multiples(next(power * each for each in _STEPS if power * each >= rough), highest)


def _duration_marks(longest: float, *, beyond: bool = True) -> list[float]:
    """Return round durations in seconds from 0 to the longest, and with `beyond` one that is no shorter."""
    wanted = longest / 5
    step = next((float(each) for each in _DURATIONS if each >= wanted), 86400.0 * max(1, round(wanted / 86400)))
    marks = _multiples(step, longest)
    return marks if beyond else [mark for mark in marks if mark <= longest]


def _multiples(step: float, highest: float) -> list[float]:
    count = int(-(-highest // step))
    return [step * number for number in range(count + 1)]
