"""What the estimates store: the states of running estimators, and what ended runs have taught."""

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from history.estimating.estimator import EarlierRun
from history.store import SQL
from shared.events.values import RunState
from shared.postgres import Pool, Record, connection


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatorState:
    """A running estimator's state after the progress event (`token`, `seq`); 16 KB at most as JSON."""

    run_id: UUID
    job_id: UUID
    token: int
    seq: int
    state: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimationContext:
    """What an estimate starts from: a run's state in the log, its stored estimator, and its job's earlier runs.

    `earlier_runs` are the latest 20 successful ones; `waits` are their seconds in the queue, where known.
    """

    run_state: RunState | None
    estimator_state: EstimatorState | None
    earlier_runs: list[EarlierRun]
    waits: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimateScore:
    """What an ended run has taught: how its time was spent, and how good its estimates were (H5).

    `curve` is its time curve (see `EarlierRun`), `points` pairs of an instant and the units done by then, and `shown`
    the displayed estimates as [instant, end, low, high]; instants are in seconds since the epoch. `estimates` counts
    them before merging. `error_ratio`, `coverage` and `curve` are None unless the run succeeded.
    """

    run_id: UUID
    job_id: UUID
    tenant_id: UUID
    curve: list[float] | None
    estimates: int
    error_ratio: float | None
    coverage: float | None
    shown: list[list[float]]
    points: list[list[float]]


class EstimateStore:
    """Earlier runs, estimator states and scores. Every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load_contexts(self, runs: Sequence[tuple[UUID, UUID]]) -> dict[UUID, EstimationContext]:
        """Return the context of each of these runs, given as (run id, job id)."""
        run_ids, job_ids = [run_id for run_id, _ in runs], [job_id for _, job_id in runs]
        async with connection(self._pool) as database:
            rows = await database.fetch(SQL["load_contexts"], run_ids, job_ids)
        return {row["run_id"]: _to_context(row) for row in rows}

    async def find_ended(self, run_ids: Collection[UUID]) -> set[UUID]:
        """Return those of the runs that have ended according to the log."""
        async with connection(self._pool) as database:
            return {row["run_id"] for row in await database.fetch(SQL["find_ended_runs"], list(run_ids))}

    async def save_states(self, states: Sequence[EstimatorState], now: datetime) -> None:
        """Store estimator states; a stored state that is newer stays."""
        latest = list({each.run_id: each for each in states}.values())
        if not latest:
            return
        values = {name: [getattr(each, name) for each in latest] for name in ("run_id", "job_id", "token", "seq")}
        values["state"] = [json.dumps(each.state) for each in latest]
        async with connection(self._pool) as database:
            await database.execute(*SQL.bind("save_states", **values, stored_at=now))

    async def delete_states(self, run_ids: Collection[UUID]) -> None:
        """Delete the estimator states of ended runs."""
        async with connection(self._pool) as database:
            await database.execute(SQL["delete_states"], list(run_ids))

    async def save_score(self, score: EstimateScore, now: datetime) -> None:
        """Store an ended run's score, unless it has one, and delete its estimator state."""
        async with connection(self._pool) as database:
            await database.execute(*SQL.bind("save_score", **asdict(score), scored_at=now))


def _to_context(row: Record) -> EstimationContext:
    stored: EstimatorState | None = None
    if row["estimator_state"] is not None:
        ids = {"run_id": row["run_id"], "job_id": row["job_id"]}
        stored = EstimatorState(**ids, token=row["token"], seq=row["seq"], state=row["estimator_state"])
    return EstimationContext(
        run_state=row["state"],
        estimator_state=stored,
        earlier_runs=[EarlierRun.from_object(each) for each in row["earlier_runs"]],
        waits=[each["waited"] for each in row["earlier_runs"] if each["waited"] is not None],
    )
