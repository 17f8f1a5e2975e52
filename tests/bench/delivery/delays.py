"""A destination that is dead, with deliveries waiting for it: how much longer others wait than without it."""

import argparse
import math
import statistics
from uuid import uuid4

from tests.bench.delivery.stage import Stage
from tests.support.wait import eventually

_SECONDS = """
SELECT extract(epoch FROM ended_at - created_at)::float8 AS seconds FROM delivery
WHERE run_id = ANY ($1) AND destination_id = $2 AND state = 'delivered'
"""


async def measure(stage: Stage, arguments: argparse.Namespace) -> dict[str, float]:
    """Return the difference between the 99th percentiles of the waits with and without a dead destination, seconds.

    Each round delivers the same number of runs; half of the rounds have as many deliveries waiting for a dead one.
    """
    deliverer = stage.deliveries.start_deliverer("deliverer-1")
    await deliverer.wait_ready()
    alone: list[float] = []
    with_dead: list[float] = []
    for number in range(2 * arguments.rounds):
        seconds = await _measure_round(stage, arguments.waiting, is_dead=number % 2 == 1)
        (with_dead if number % 2 else alone).append(_compute_p99(seconds))
    return {"delay_p99_s": statistics.median(with_dead) - statistics.median(alone)}


async def _measure_round(stage: Stage, count: int, *, is_dead: bool) -> list[float]:
    deliveries, good = stage.deliveries, stage.make_s3()
    other = uuid4()
    dead = stage.make_s3("https://127.0.0.1:1", tenant=other)
    if is_dead:
        waiting = [await deliveries.make_run([dead.destination_id], {"a": b"x"}, tenant=other) for _ in range(count)]
        await deliveries.admit(dead, *waiting)
    runs = [await deliveries.make_run([good.destination_id], {"a.zip.p7m": b"content" * 1000}) for _ in range(count)]
    await deliveries.admit(good)
    for run in runs:
        await deliveries.admit(run)
    await eventually(lambda: deliveries.are_delivered(*runs), timeout=600)
    ids = [run.run_id for run in runs]
    rows = await deliveries.system.fetch("exporter", _SECONDS, ids, good.destination_id)
    return [row["seconds"] for row in rows]


def _compute_p99(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]
