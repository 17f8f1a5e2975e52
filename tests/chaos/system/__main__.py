"""`make chaos-system`: the whole product under load while a seeded adversary strikes; the last line is JSON."""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from deploy.local.reaper import Reaper
from deploy.local.stack import temporary_folder
from tests.chaos.system.adversary import FAULTS, Adversary
from tests.chaos.system.files import FileChecker
from tests.chaos.system.load import Load
from tests.chaos.system.oracle import Oracle, Verdict
from tests.chaos.system.world import Member, World, open_world

_MOST_GROWTH_MIB, _MOST_GROWTH_DESCRIPTORS = 48, 40
_FEWEST_SAMPLES = 240
COUNTED = ("lost", "doubled", "wrong_files", "stuck_over_60s", "unexplained_dead_letters", "orphans", "others")


async def run_storm(folder: Path, reaper: Reaper, *, seed: int, minutes: float, kinds: Sequence[str]) -> dict[str, Any]:
    """Let the storm rage, judge what is left, and return the report."""
    async with open_world(folder, reaper) as world:
        load, adversary = Load(world.api_url, world.api_key, seed), Adversary(world, seed, kinds)
        calm, healed = asyncio.Event(), asyncio.Event()
        supervising = asyncio.create_task(world.supervise(calm))
        changing = asyncio.create_task(world.source.keep_changing(seed, healed))
        loading = asyncio.create_task(load.run(healed))
        striking = asyncio.create_task(adversary.run(healed))
        began = time.monotonic()
        await asyncio.wait(
            [supervising, changing, loading, striking], timeout=minutes * 60, return_when="FIRST_EXCEPTION"
        )
        healed.set()
        await asyncio.gather(changing, loading, striking)
        struck_for = time.monotonic() - began
        verdict = await _judge(world, load, FileChecker(world, folder))
        calm.set()
        await supervising
        verdict.others += [f"{name} stopped with {code}" for name, code in world.stop().items()]
        return _report(world, adversary, verdict, seed=seed, minutes=struck_for / 60) | {"answers": dict(load.answers)}


async def _judge(world: World, load: Load, files: FileChecker) -> Verdict:
    oracle = Oracle(world, load, files)
    await oracle.wait_for_rest()
    await load.finish()
    verdict = await oracle.judge()
    verdict.others += [text for member in world.members for text in _find_growth(member)]
    return verdict


def _find_growth(member: Member) -> list[str]:
    """Compare the last quarter of a process's life with its second quarter; short lives say nothing."""
    found = []
    for what, samples, limit in (
        ("memory in MiB", member.memory, _MOST_GROWTH_MIB),
        ("descriptors", member.descriptors, _MOST_GROWTH_DESCRIPTORS),
    ):
        if len(samples) < _FEWEST_SAMPLES:
            continue
        quarter = len(samples) // 4
        before, after = statistics.median(samples[quarter : 2 * quarter]), statistics.median(samples[-quarter:])
        if after - before > limit:
            found.append(f"{member.name}: {what} grew from {before:g} to {after:g}")
    return found


def _report(world: World, adversary: Adversary, verdict: Verdict, *, seed: int, minutes: float) -> dict[str, Any]:
    found = asdict(verdict)
    for name in COUNTED:
        for text in found[name]:
            sys.stderr.write(f"{name}: {text}\n")
    for text in world.self_exits:
        sys.stderr.write(f"self_exits: {text}\n")
    counts = {name: len(found[name]) for name in COUNTED}
    return {
        "seed": seed,
        "minutes": round(minutes, 1),
        "faults": len(adversary.struck),
        "slots": verdict.slots,
        "runs": verdict.runs,
        **counts,
        "self_exits": len(world.self_exits),
    }


def main() -> int:
    """Run the storm; return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="decides the load and the order of faults")
    parser.add_argument("--minutes", type=float, default=5.0, help="how long faults strike")
    names = sorted(FAULTS)
    parser.add_argument("--faults", nargs="+", choices=names, default=names, metavar="NAME", help="strike with these")
    parser.add_argument("--logs", type=Path, help="copy the processes' logs into this folder")
    given = parser.parse_args()
    with Reaper() as reaper:
        folder = temporary_folder(reaper, "sluice-storm-")
        try:
            report = asyncio.run(run_storm(folder, reaper, seed=given.seed, minutes=given.minutes, kinds=given.faults))
        finally:
            if given.logs is not None:
                _copy_logs(folder, given.logs)
    for name, value in report.items():
        sys.stdout.write(f"{name:>26} {value}\n")
    sys.stdout.write(json.dumps(report) + "\n")
    return int(any(report[name] for name in (*COUNTED, "self_exits")))


def _copy_logs(folder: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for log in (*folder.glob("logs/*.log"), *folder.glob("*/*.log")):
        (target / log.name).write_bytes(log.read_bytes())


if __name__ == "__main__":
    sys.exit(main())
