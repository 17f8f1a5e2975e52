"""What the estimator is told: earlier runs, and progress of the one that is running."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

Eta: TypeAlias = tuple[float, float, float] | tuple[None, None, None]
UNKNOWN: Eta = (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """An earlier run of the same job; `duration` in seconds.

    `curve` has 21 numbers: the fraction of the duration at which 0, 5 ... 100 % of its units were done. The last is
    below 1 where work went on after the last unit (packing, storing): a tail that shows no progress. `coverage`, where
    it is known, is the share of the run's estimates whose band held its end.
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
    def of(cls, item: object) -> Self:
        """Return the run that an object's attributes or a mapping's keys of the same names describe."""
        curve = _get(item, "curve")
        return cls(
            run_id=str(_get(item, "run_id")),
            started_at=float(_get(item, "started_at") or 0.0),
            duration=float(_get(item, "duration") or 0.0),
            units_total=_get(item, "units_total"),
            bytes=_get(item, "bytes"),
            status=str(_get(item, "status")),
            curve=tuple(float(each) for each in curve) if curve is not None and len(curve) == 21 else None,
            coverage=_get(item, "coverage"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the run has come at `ts`; `slices` are pairs of units done and total."""

    run_id: str
    ts: float
    units_done: float
    units_total: float | None
    bytes: float
    slices: Sequence[tuple[float, float]] | None = None
    phase: str | None = None

    @classmethod
    def of(cls, item: object) -> Self:
        """Return the progress that an object's attributes or a mapping's keys of the same names describe."""
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
