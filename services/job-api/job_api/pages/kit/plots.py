"""Plots as SVG: drawn here, coloured by the stylesheet, with nothing inline that the content policy forbids."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 14, 12, 34
_STEPS = (1, 2, 2.5, 5, 10, 20)
_TIMES = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_SECONDS = (1, "s"), (60, "min"), (3600, "h"), (86400, "d")

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How fast a run was from `start` to `end`, in seconds since its start."""

    start: float
    end: float
    per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """What was said at `at` (seconds since the run's start) of the seconds left: the median and its band."""

    at: float
    left: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Frame:
    """From values to places in the picture; both axes begin at 0."""

    widest: float
    highest: float

    def x(self, value: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, value / self.widest))

    def y(self, value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * min(1.0, max(0.0, value / self.highest))

    def line(self, points: Sequence[Point]) -> str:
        return " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)


def throughput(rates: Sequence[Rate], *, length: float) -> Markup | None:
    """Return a plot of rows a second over `length` seconds, or None when there is too little to draw."""
    if len(rates) < 2 or length <= 0:
        return None
    highest = max(rate.per_second for rate in rates)
    marks = _quantities(max(highest, 1.0))
    frame = _Frame(max(length, rates[-1].end), max(marks[-1], highest))
    steps = [point for rate in rates for point in ((rate.start, rate.per_second), (rate.end, rate.per_second))]
    area = [(steps[0][0], 0.0), *steps, (steps[-1][0], 0.0)]
    mean = sum(rate.per_second * (rate.end - rate.start) for rate in rates) / max(
        sum(rate.end - rate.start for rate in rates), 1e-9
    )
    drawn = (
        f'<polygon class="area" points="{frame.line(area)}"/>'
        f'<polyline class="curve" points="{frame.line(steps)}"/>'
        f'<line class="mean" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{frame.y(mean):.1f}" y2="{frame.y(mean):.1f}"/>'
    )
    said = f"Rows a second over time: {short(mean)} on average, {short(highest)} at most."
    return _picture(frame, marks, short, said, drawn)


def foretelling(told: Sequence[Foretold], *, length: float, ended: bool) -> Markup | None:
    """Return a plot of the time left as it was foretold, and, once a run has `ended`, of what was left in truth."""
    if len(told) < 2 or length <= 0:
        return None
    highest = max(each.left for each in told)
    # What is said at first may be far off: it is cut where it would press all the rest flat.
    highest = min(max(highest, length), 3 * length) if ended else highest
    highest = max(highest, min(max(each.high for each in told), 1.5 * highest), 1.0)
    marks = _moments(highest)
    frame = _Frame(max(length, told[-1].at), max(marks[-1], highest))
    band = [(each.at, each.high) for each in told] + [(each.at, each.low) for each in reversed(told)]
    drawn = (
        f'<polygon class="band" points="{frame.line(band)}"/>'
        f'<polyline class="curve" points="{frame.line([(each.at, each.left) for each in told])}"/>'
    )
    if ended:
        drawn += f'<polyline class="truth" points="{frame.line([(0.0, length), (length, 0.0)])}"/>'
    said = f"Time left as it was estimated at {len(told)} moments" + (
        ", beside what was left in truth." if ended else "."
    )
    return _picture(frame, marks, brief, said, drawn)


def short(value: float) -> str:
    """Return a quantity in a few characters, as an axis shows it."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def brief(seconds: float) -> str:
    """Return a length of time in a few characters, as an axis shows it."""
    if seconds < 120 and seconds % 60:
        return f"{seconds:.3g} s"
    size, unit = next(((size, unit) for size, unit in reversed(_SECONDS) if seconds >= size), (1, "s"))
    return f"{seconds / size:.3g} {unit}"


def _picture(frame: _Frame, marks: Sequence[float], words: Callable[[float], str], said: str, drawn: str) -> Markup:
    grid = "".join(
        f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{frame.y(mark):.1f}" y2="{frame.y(mark):.1f}"/>'
        f'<text class="mark left" x="{_LEFT - 8}" y="{frame.y(mark) + 4:.1f}">{escape(words(mark))}</text>'
        for mark in marks
    )
    times = "".join(
        f'<line class="tick" x1="{frame.x(at):.1f}" x2="{frame.x(at):.1f}" y1="{HEIGHT - _BOTTOM}"'
        f' y2="{HEIGHT - _BOTTOM + 5}"/>'
        f'<text class="mark below" x="{frame.x(at):.1f}" y="{HEIGHT - _BOTTOM + 20}">{escape(brief(at))}</text>'
        for at in _moments(frame.widest, beyond=False)
    )
    return Markup(  # noqa: S704 - every piece is a number, ours, or escaped
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">'
        f"<title>{escape(said)}</title>{grid}{times}{drawn}</svg>"
    )


def _quantities(highest: float) -> list[float]:
    """Return 2 to 6 round values from 0 to at or just above the highest."""
    rough = highest / 4
    power = 10.0 ** math.floor(math.log10(rough))
    return _multiples(next(power * each for each in _STEPS if power * each >= rough), highest)


def _moments(longest: float, *, beyond: bool = True) -> list[float]:
    """Return round lengths of time from 0 to the longest, and with `beyond` one at or above it."""
    wanted = longest / 5
    step = next((float(each) for each in _TIMES if each >= wanted), 86400.0 * max(1, round(wanted / 86400)))
    marks = _multiples(step, longest)
    return marks if beyond else [mark for mark in marks if mark <= longest]


def _multiples(step: float, highest: float) -> list[float]:
    count = int(-(-highest // step))
    return [step * place for place in range(count + 1)]
