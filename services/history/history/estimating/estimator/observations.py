"""What the estimator works from: a job's earlier runs, and progress samples of the run in progress."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

# Seconds remaining: median, 10 % and 90 % quantile.
TimeRemaining: TypeAlias = tuple[float, float, float] | tuple[None, None, None]
UNKNOWN: TimeRemaining = (None, None, None)

CURVE_POINTS = 21


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """An earlier run of the same job; `started_at` in seconds since the epoch, `duration` in seconds.

    `curve` is the run's time curve: the 21 fractions of the duration at which 0, 5 ... 100 % of the units were done.
    The last is below 1 where work continued after the last unit (packaging, storing) without visible progress.
    `coverage`, where known, is the fraction of the run's estimates whose band contained its actual end.
    """

    run_id: str
    started_at: float
    duration: float
    units_total: int | None
    bytes: int | None
    status: str
    curve: tuple[float, ...] | None
    coverage: float | None = None

    @classmethod
    def from_object(cls, item: object) -> Self:
        """Return the run described by an object's attributes, or a mapping's keys, of the same names."""
        curve = _get(item, "curve")
        return cls(
            run_id=str(_get(item, "run_id")),
            started_at=float(_get(item, "started_at") or 0.0),
            duration=float(_get(item, "duration") or 0.0),
            units_total=_get(item, "units_total"),
            bytes=_get(item, "bytes"),
            status=str(_get(item, "status")),
            curve=tuple(float(each) for each in curve) if curve is not None and len(curve) == CURVE_POINTS else None,
            coverage=_get(item, "coverage"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressSample:
    """How far a run has come at `ts`, in seconds since the epoch; units are rows.

    `slices` has a pair of units done and units in total for each slice of a run that several exporters share.
    """

    run_id: str
    ts: float
    units_done: float
    units_total: float | None
    bytes: float
    slices: Sequence[tuple[float, float]] | None = None
    phase: str | None = None

    @classmethod
    def from_object(cls, item: object) -> Self:
        """Return the sample described by an object's attributes, or a mapping's keys, of the same names."""
        total = _get(item, "units_total")
        slices = _get(item, "slices")
        return cls(
            run_id=str(_get(item, "run_id")),
            ts=float(_get(item, "ts")),
            units_done=float(_get(item, "units_done") or 0),
            units_total=float(total) if total is not None else None,
            bytes=float(_get(item, "bytes") or 0),
            slices=[(float(done), float(all_)) for done, all_ in slices] if slices else None,
            phase=_get(item, "phase"),
        )


def _get(item: object, name: str) -> Any:
    return item.get(name) if isinstance(item, Mapping) else getattr(item, name, None)
