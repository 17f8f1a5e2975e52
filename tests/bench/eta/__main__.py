"""`make bench-eta`: our estimates compared with those of tqdm and rich; the last line is JSON."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence

from history.estimating.estimator import Estimator
from tests.bench.catalogue import ETA
from tests.bench.eta.load import measure_estimates_per_second
from tests.bench.eta.measure import Result, follow, follow_ours
from tests.bench.eta.peers import Rich, Tqdm
from tests.bench.eta.traces import KINDS, Trace, generate_traces
from tests.bench.report import conclude, parse_arguments

Selector = Callable[[Trace], bool]


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.eta", description=__doc__)
    parser.add_argument("--traces", type=int, default=520)
    parser.add_argument("--running", type=int, default=2000, help="runs that are estimated at the same time")
    parser.add_argument("--seed", type=int, default=11)
    arguments = parse_arguments(parser, ETA)
    runs = generate_traces(arguments.traces, arguments.seed)
    ours = [follow_ours(run) for run in runs]
    tqdm = [follow(run, Tqdm(run.started_at)) for run in runs]
    rich = [follow(run, Rich(run.started_at)) for run in runs]

    def ratio(peer: Sequence[Result], figure: str, selector: Selector = lambda _: True) -> float:
        mine, theirs = (
            sum(getattr(each, figure) for run, each in zip(runs, results, strict=True) if selector(run))
            for results in (ours, peer)
        )
        # A small number of traces may have none of a kind.
        return float(round(mine / theirs, 3)) if theirs else float("nan")

    for kind in KINDS:
        of_kind = [
            ratio(tqdm, "area", lambda run, kind=kind, had=had: run.kind == kind and bool(run.earlier) == had)  # type: ignore[misc]
            for had in (True, False)
        ]
        sys.stdout.write(f"{kind:12}  area vs tqdm: {of_kind[0]:6.3f} with earlier runs, {of_kind[1]:6.3f} without\n")
    sys.stdout.write(f"area vs rich: {ratio(rich, 'area')}, jumps vs rich: {ratio(rich, 'jumps')}\n")
    coverages = [each.coverage for each in ours if each.coverage is not None]
    figures = {
        "auc_all": ratio(tqdm, "area"),
        "auc_history": ratio(tqdm, "area", lambda run: bool(run.earlier)),
        "auc_none": ratio(tqdm, "area", lambda run: not run.earlier),
        "jump": ratio(tqdm, "jumps"),
        "coverage": round(sum(coverages) / len(coverages), 3),
        "ms_per_estimate": measure_milliseconds(runs),
        "estimates_per_s": round(asyncio.run(measure_estimates_per_second(runs, arguments.running))),
        "state_kb": max(round(len(json.dumps(_run_estimator(run).dump())) / 1024, 1) for run in runs),
    }
    conclude(ETA, figures, is_smallest=arguments.smallest)


def measure_milliseconds(runs: Sequence[Trace]) -> float:
    """Return the processor time for one sample and one estimate, averaged over the longest run."""
    longest = max(runs, key=lambda run: len(run.events))
    estimator, began, count = Estimator(), time.process_time(), 0
    estimator.reset(longest.earlier)
    for event in longest.events:
        estimator.observe(event)
        estimator.estimate(event.ts)
        count += 1
    return round((time.process_time() - began) / count * 1000, 4)


def _run_estimator(run: Trace) -> Estimator:
    estimator = Estimator()
    estimator.reset(run.earlier)
    for event in run.events:
        estimator.observe(event)
    return estimator


if __name__ == "__main__":
    main()
