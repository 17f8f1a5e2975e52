"""`make bench-scheduler`: throughput and punctuality of schedulers, compared with APScheduler on the same PostgreSQL.

The last line is JSON; every number is the median of three trials. The measurements:

- `slots_per_s`: all jobs are due in one second; from that second until the last slot is committed with its ledger row,
  its job's next slot and its event in the outbox. Two schedulers publish the outbox to Kafka meanwhile, and PostgreSQL
  and Kafka run on the same cores. The rate "until Kafka has acknowledged all" is shown as well. PostgreSQL is durable
  (fsync and synchronous_commit on).
- `vs_apscheduler`: the same, divided by APScheduler's rate before and after on the same PostgreSQL, with empty jobs.
- `lateness_p99_s`, `publish_p99_s`, `failover_s`: at a steady rate; `failover_s` after kill -9 of one of two.
- `idle_cpu`: the fraction of a core that a scheduler uses when no job is due; PostgreSQL's is shown as well.
- `turn_growth`: the time of a batch of a hundred due jobs among all the others, which are not due, divided by the time
  among 20,000.

A full run takes about 15 minutes; `--only` runs single sections.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys

from rich.console import Console
from rich.table import Table

from tests.bench.catalogue import SCHEDULER
from tests.bench.report import conclude, parse_arguments
from tests.bench.scheduler import measures
from tests.bench.scheduler.stack import TUNED, BenchStack, open_stack

FURTHER = {
    "apscheduler_per_s": "APScheduler's slots per second",
    "published_per_s": "slots per second until Kafka has acknowledged all",
    "idle_cpu_postgresql": "PostgreSQL for an idle scheduler, fraction of a core",
    "turn_s": "a batch of a hundred due jobs among all (s)",
}


def parse_sizes() -> argparse.Namespace:
    """Read the sizes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--peer-jobs", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=1000, help="slots per second of the steady trial")
    parser.add_argument(
        "--seconds", type=int, default=45, help="length of the steady trial; the first two thirds without a failure"
    )
    parser.add_argument("--idle-seconds", type=int, default=60)
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--few", type=int, default=20_000, help="jobs with which all jobs are compared in a turn")
    parser.add_argument("--batches", type=int, default=100, help="batches of a hundred due jobs in a turn")
    parser.add_argument("--only", choices=["burst", "steady", "idle", "turn"], action="append")
    parser.add_argument("--quick", action="store_true", help="a small run: 100,000 jobs, one trial")
    given = parse_arguments(parser, SCHEDULER)
    if given.quick:
        given.jobs, given.trials, given.idle_seconds, given.seconds = 100_000, 1, 20, 21
        given.peer_jobs = 2000
    return given


def measure_peer(dsn: str, jobs: int) -> float:
    """Return APScheduler's slots per second."""
    argv = [sys.executable, "-m", "tests.bench.scheduler.apscheduler_peer", dsn, str(jobs)]
    return jobs / float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


async def run_trials(stack: BenchStack, given: argparse.Namespace, console: Console) -> dict[str, list[float]]:
    """Run all trials; return the values of each measurement."""
    found: dict[str, list[float]] = {}

    def note(**values: float) -> None:
        for name, value in values.items():
            found.setdefault(name, []).append(value)
            console.print(f"  {name} {value:.4g}")

    for number in range(given.trials):
        console.print(f"trial {number + 1} of {given.trials}, load {os.getloadavg()[0]:.1f}")
        if not given.only or "burst" in given.only:
            before = await asyncio.to_thread(measure_peer, stack.admin_dsn, given.peer_jobs)
            ours, published = await measures.measure_burst(stack, given.jobs)
            theirs = (before + await asyncio.to_thread(measure_peer, stack.admin_dsn, given.peer_jobs)) / 2
            note(slots_per_s=ours, vs_apscheduler=ours / theirs, apscheduler_per_s=theirs, published_per_s=published)
        if not given.only or "steady" in given.only:
            late, publish, failover = await measures.measure_steady(stack, given.jobs, given.rate, given.seconds)
            note(lateness_p99_s=late, publish_p99_s=publish, failover_s=failover)
        if not given.only or "idle" in given.only:
            own, served = await measures.measure_idle(stack, given.jobs, given.idle_seconds)
            note(idle_cpu=own, idle_cpu_postgresql=served)
        if not given.only or "turn" in given.only:
            among_few = await measures.measure_batch(stack, given.few, given.batches)
            among_all = await measures.measure_batch(stack, given.jobs, given.batches)
            note(turn_growth=among_all / among_few, turn_s=among_all)
    return found


async def main() -> None:
    """Measure and print."""
    given, console = parse_sizes(), Console()
    async with open_stack() as stack:
        found = await run_trials(stack, given, console)
    medians = {name: statistics.median(values) for name, values in found.items()}
    tuned = ", ".join(f"{name} {value}" for name, value in TUNED.items())
    table = Table(
        title=f"{given.jobs:,} jobs, medians of {given.trials}, {os.cpu_count()} cores, PostgreSQL with {tuned}"
    )
    for heading in ("what", "median", "all trials"):
        table.add_column(heading)
    for name, median in medians.items():
        what = FURTHER.get(name) or SCHEDULER.figures[name].meaning
        table.add_row(what, f"{median:,.3g}", "  ".join(f"{value:,.3g}" for value in found[name]))
    console.print(table)
    figures = {name: medians[name] for name in SCHEDULER.figures if name in medians}
    conclude(SCHEDULER, figures, is_smallest=given.smallest)


if __name__ == "__main__":
    asyncio.run(main())
