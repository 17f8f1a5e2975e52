"""`make bench-history`: recorder, estimates, visibility, rebuild, lists and live updates; the last line is JSON."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx

from deploy.local.processes import plain_environment
from history.store.lists import RUNS
from tests.bench.catalogue import HISTORY
from tests.bench.history import consuming, serving, stream
from tests.bench.history.servers import open_system
from tests.bench.history.stream import publish
from tests.bench.report import conclude, parse_arguments
from tests.support.system import Service, System

Report = Callable[[str, float], None]


async def measure(sections: Sequence[str], size: argparse.Namespace) -> dict[str, float]:
    """Return the figures of these sections; each is printed as soon as it is measured."""
    figures: dict[str, float] = {}

    def report(name: str, value: float) -> None:
        figures[name] = round(value, 3)
        sys.stdout.write(f"{name}: {figures[name]}\n")
        sys.stdout.flush()

    for section in sections:
        async with open_system() as system:
            await SECTIONS[section](system, report, size)
    return figures


async def _measure_recorder(system: System, report: Report, size: argparse.Namespace) -> None:
    sent = await publish(system.kafka, size.events, uuid4())
    recorder = await consuming.measure_recorder(system, sent)
    bare = await consuming.measure_bare_consumer(system, sent)
    report("recorder_per_s", recorder)
    report("vs_bare_consumer", recorder / bare)
    await system.fetch_as_owner("history", "TRUNCATE bench")
    report("rebuild_per_s", await consuming.measure_rebuild(system))


async def _measure_estimates(system: System, report: Report, size: argparse.Namespace) -> None:
    sent = await publish(system.kafka, min(size.events, 63_000), uuid4())
    followed = sent * stream.FOLLOWED_EVENTS // stream.EVENTS
    # In turn, so that other load on the machine affects both.
    ours, bare = [], []
    for _ in range(size.turns):
        ours.append(await _run_faust(system, "ours", followed))
        bare.append(await _run_faust(system, "bare", followed))
    report("faust_per_s", max(ours))
    report("faust_vs_bare", max(ours) / max(bare))


@asynccontextmanager
async def _open_api(system: System) -> AsyncIterator[tuple[Service, httpx.AsyncClient, str]]:
    settings = {"STORE": "file:///tmp"}
    recorder, api = (system.start("history", command, settings) for command in ("recorder", "api"))
    await recorder.wait_ready()
    await api.wait_ready()
    client, token = await serving.create_client(system, api)
    yield api, client, token
    await client.aclose()
    recorder.process.stop()
    api.process.stop()


async def _measure_live_updates(system: System, report: Report, size: argparse.Namespace) -> None:
    async with _open_api(system) as (api, client, token):
        report("visible_p99_s", await serving.measure_visibility_p99(system, client, seconds=size.seconds))
        report("sse_p99_s", await serving.measure_sse_p99(system, api, token, clients=size.clients))


async def _measure_lists(system: System, report: Report, size: argparse.Namespace) -> None:
    others = [sign + name for name in RUNS.sorts for sign in ("", "-")]
    async with _open_api(system) as (_, client, _):
        figures = []
        few = min(5000, size.runs // 2)
        for runs in (few, size.runs - few):
            await serving.insert_runs(system, runs)
            # The first answers of a process and the first plans of its connections do not count.
            await serving.measure_list_p99(client, size.pages * 3 // 10, sorts=others)
            newest = await serving.measure_list_p99(client, size.pages)
            figures.append((newest, await serving.measure_list_p99(client, size.pages, sorts=others)))
        (first, few_sorted), (many, many_sorted) = figures
        report("list_ratio", many / first)
        report("list_ratio_sorted", many_sorted / few_sorted)


SECTIONS: dict[str, Callable[[System, Report, argparse.Namespace], Awaitable[None]]] = {
    "live": _measure_live_updates,
    "list": _measure_lists,
    "record": _measure_recorder,
    "estimate": _measure_estimates,
}


async def _run_faust(system: System, which: str, events: int) -> float:
    environment = {
        "SLUICE_KAFKA_BOOTSTRAP": system.kafka,
        "SLUICE_HISTORY_POSTGRES": system.dsn("history"),
        "SLUICE_HISTORY_STORE": "file:///tmp",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.history.fausts",
        which,
        str(events),
        cwd=system.folder,
        env=plain_environment(environment),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return float(out.decode().splitlines()[-1])


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.history", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events to record, and to rebuild from")
    parser.add_argument("--runs", type=int, default=5_000_000, help="runs in the long list")
    parser.add_argument("--turns", type=int, default=2, help="how often the estimates and their peer are measured")
    parser.add_argument("--pages", type=int, default=200, help="pages read in each order of the list")
    parser.add_argument("--seconds", type=int, default=10, help="length of the measurement of visibility")
    parser.add_argument("--clients", type=int, default=1000, help="clients that follow live updates")
    parser.add_argument(
        "--only", choices=SECTIONS, action="append", help="a section to measure, repeatable; default: all"
    )
    arguments = parse_arguments(parser, HISTORY)
    figures = asyncio.run(measure(arguments.only or list(SECTIONS), arguments))
    conclude(HISTORY, figures, is_smallest=arguments.smallest)


if __name__ == "__main__":
    main()
