"""What the estimates keep in PostgreSQL: running estimators' memories, and what is learnt of ended runs."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from history.estimating.estimator import EarlierRun
from history.store import SQL
from shared.events.values import RunState
from shared.postgres import Pool, Record, connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """A running estimator's state after the progress event (`token`, `seq`)."""

    run_id: UUID
    job_id: UUID
    token: int
    seq: int
    state: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A run's state by the log, its estimator's memory, its job's latest successful runs and their waits in seconds."""

    state: RunState | None
    memory: Memory | None
    earlier: list[EarlierRun]
    waits: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How a run's time was spent (`curve`, `points`), and how good its estimates were."""

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
    """Earlier runs, memories and scores."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def known(self, runs: Sequence[tuple[UUID, UUID]]) -> dict[UUID, Known]:
        """Return what is known of each of these runs (run and job), and of its job's runs before it."""
        asked = [run_id for run_id, _ in runs], [job_id for _, job_id in runs]
        async with connection(self._pool) as database:
            return {row["run_id"]: _known(row) for row in await database.fetch(SQL["load_estimators"], *asked)}

    async def ended(self, run_ids: Collection[UUID]) -> set[UUID]:
        """Return those of the runs that have ended, by the log."""
        async with connection(self._pool) as database:
            return {row["run_id"] for row in await database.fetch(SQL["ended_runs"], list(run_ids))}

    async def save(self, memories: Sequence[Memory], now: datetime) -> None:
        """Store memories; what is newer there stays."""
        rows = [
            (each.run_id, each.job_id, each.token, each.seq, json.dumps(each.state), now)
            for each in {each.run_id: each for each in memories}.values()
        ]
        if rows:
            async with connection(self._pool) as database:
                await database.execute(SQL["save_estimators"], *map(list, zip(*rows, strict=True)))

    async def drop(self, run_ids: Collection[UUID]) -> None:
        """Forget the memories of ended runs."""
        async with connection(self._pool) as database:
            await database.execute(SQL["drop_estimators"], list(run_ids))

    async def save_score(self, score: Score, now: datetime) -> None:
        """Note what is learnt of an ended run, once, and forget its memory."""
        async with connection(self._pool) as database:
            await database.execute(
                SQL["save_scores"],
                score.run_id,
                score.job_id,
                score.tenant_id,
                score.curve,
                score.estimates,
                score.error_ratio,
                score.coverage,
                score.shown,
                score.points,
                now,
            )


def _known(row: Record) -> Known:
    memory: Memory | None = None
    if row["memory"] is not None:
        ids = {"run_id": row["run_id"], "job_id": row["job_id"]}
        memory = Memory(**ids, token=row["token"], seq=row["seq"], state=row["memory"])
    return Known(
        state=row["state"],
        memory=memory,
        earlier=[EarlierRun.of(each) for each in row["earlier"]],
        waits=[each["waited"] for each in row["earlier"] if each["waited"] is not None],
    )
