"""`make bench-history`: recorder, estimates, visibility, rebuild, lists and live updates; the last line is JSON."""

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from uuid import uuid4

from deploy.local.processes import plain_environment
from tests.bench.history import consuming, serving
from tests.bench.history.place import place
from tests.bench.history.stream import publish
from tests.support.system import System

AT_LEAST = {"recorder_per_s": 20_000, "vs_bare_consumer": 0.5, "faust_vs_bare": 0.5, "rebuild_per_s": 20_000}
AT_MOST = {"visible_p99_s": 1.0, "list_ratio": 3.0, "sse_p99_s": 2.0}


async def measure(*, events: int, runs: int, clients: int) -> dict[str, float]:
    """Return all figures, each printed as it is known."""
    async with place() as system:
        figures: dict[str, float] = {}

        def note(name: str, value: float) -> None:
            figures[name] = round(value, 3)
            sys.stdout.write(f"{name}: {figures[name]}\n")
            sys.stdout.flush()

        await _clients(system, note, runs=runs, clients=clients)
        sent = await publish(system.kafka, events, uuid4())
        recorder, bare = await consuming.recorder(system, sent), await consuming.bare(system, sent)
        note("recorder_per_s", recorder)
        note("vs_bare_consumer", recorder / bare)
        note("rebuild_per_s", await consuming.rebuilding(system))
        followed = min(sent // 3, 30_000)
        note("faust_vs_bare", await _faust(system, "ours", followed) / await _faust(system, "bare", followed))
        return figures


async def _clients(system: System, note: Callable[[str, float], None], *, runs: int, clients: int) -> None:
    settings = {"STORE": "file:///tmp"}
    recorder, api = (system.start("history", command, settings) for command in ("recorder", "api"))
    await recorder.ready()
    await api.ready()
    client, token = await serving.client_of(system, api)
    note("visible_p99_s", await serving.visible_p99(system, client))
    note("sse_p99_s", await serving.sse_p99(system, api, token, clients=clients))
    await serving.fill(system, 5000)
    few = await serving.list_p99(client)
    await serving.fill(system, runs)
    note("list_ratio", await serving.list_p99(client) / few)
    await client.aclose()
    recorder.running.stop()
    api.running.stop()
    await system.fetch("history", "TRUNCATE run, run_event, part, artifact")


async def _faust(system: System, which: str, events: int) -> float:
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
    """Measure and exit 1 when a figure is not reached."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.history", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events to record and to rebuild from")
    parser.add_argument("--runs", type=int, default=5_000_000, help="runs in the long list")
    parser.add_argument("--clients", type=int, default=1000, help="clients that follow live")
    arguments = parser.parse_args()
    figures = asyncio.run(measure(events=arguments.events, runs=arguments.runs, clients=arguments.clients))
    sys.stdout.write(json.dumps(figures) + "\n")
    missed = [name for name, least in AT_LEAST.items() if figures[name] < least]
    missed += [name for name, most in AT_MOST.items() if figures[name] > most]
    if missed:
        sys.exit(f"not reached: {', '.join(missed)}")


if __name__ == "__main__":
    main()
