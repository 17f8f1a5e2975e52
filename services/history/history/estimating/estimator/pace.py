"""A run's pace: the work done per second, blended from trailing windows by their backtested errors.

This is forecast combination with weights from inverse squared errors (Bates and Granger, "The Combination of
Forecasts", 1969); the errors come from a rolling-origin backtest on the very run.
"""

import math
from bisect import bisect_right
from collections.abc import Callable

from history.estimating.estimator.trajectory import Trajectory

_WINDOWS = (0.08, 0.2, 0.45, 1.0)  # fractions of the active time
_ORIGINS = (0.35, 0.5, 0.65, 0.8, 0.9)  # fractions of the active time at which the windows are backtested
_WEIGHT_FLOOR, _WEIGHT_EXPONENT = 0.003, 2.0
_PRIOR_SQUARED_ERROR = 0.005
_UNKNOWN_RATE_ERROR, _MAX_SQUARED_ERROR = 1.5, 2.25


def estimate_pace(trajectory: Trajectory, work_at: Callable[[float], float]) -> tuple[float, float] | None:
    """Return the work per second of active time, and the windows' error so far as a deviation of the logarithm.

    `work_at` converts units done to the fraction of the work done. Four trailing windows (8, 20, 45 and 100 % of the
    active time, which excludes stalls) are blended, each weighted by how well it would have predicted the remainder of
    this run at several origins in its past. Returns None while nothing has been done.
    """
    times = [ts - trajectory.started_at - stalled for ts, _, stalled in trajectory.points]
    works = [work_at(units) for _, units, _ in trajectory.points]
    if trajectory.points[0][0] > trajectory.started_at:
        times, works = [0.0, *times], [0.0, *works]
    active = times[-1]
    if active <= 0 or works[-1] <= works[0]:
        return None
    # Each backtest begins at the same origins, so the work done there is interpolated once for all windows.
    origins = [(origin * active, _interpolate(times, works, origin * active)) for origin in _ORIGINS]
    logs, weights, errors = [], [], []
    for window in _WINDOWS:
        rate = _trailing_rate(times, works, (active, works[-1]), window)
        if rate <= 0:
            continue
        error = _backtest(times, works, window, origins)
        logs.append(math.log(rate))
        errors.append(error)
        weights.append((_WEIGHT_FLOOR + error) ** -_WEIGHT_EXPONENT)
    if not logs:
        return None
    total = sum(weights)
    blended = sum(weight * each for weight, each in zip(weights, logs, strict=True)) / total
    error = sum(weight * each for weight, each in zip(weights, errors, strict=True)) / total
    return math.exp(blended), math.sqrt(error)


def _backtest(times: list[float], works: list[float], window: float, origins: list[tuple[float, float]]) -> float:
    """Return the mean squared error of a window's predictions, as logarithms; later origins weigh more.

    An origin is a time and the work done by then.
    """
    squares, count = _PRIOR_SQUARED_ERROR, 1.0
    for weight, (origin, done) in enumerate(origins, start=1):
        rate = _trailing_rate(times, works, (origin, done), window)
        since = works[-1] - done
        if since <= 0:
            continue
        error = math.log(rate * (times[-1] - origin) / since) if rate > 0 else _UNKNOWN_RATE_ERROR
        squares += weight * min(_MAX_SQUARED_ERROR, error * error)
        count += weight
    return squares / count


def _trailing_rate(times: list[float], works: list[float], end: tuple[float, float], window: float) -> float:
    """Return the rate over the window that ends at a time (seconds) and the work done by then."""
    at, done = end
    length = at * window
    if length <= 0:
        return 0.0
    return (done - _interpolate(times, works, at - length)) / length


def _interpolate(times: list[float], works: list[float], time: float) -> float:
    index = bisect_right(times, time)
    if index == 0:
        return works[0]
    if index == len(times):
        return works[-1]
    before, after = times[index - 1], times[index]
    fraction = (time - before) / (after - before) if after > before else 1.0
    return works[index - 1] + (works[index] - works[index - 1]) * fraction
