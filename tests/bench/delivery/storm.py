"""A storm: many deliveries while deliverers are killed and frozen, and the line to a destination stalls and is cut."""

import argparse
import asyncio
import os
import random
from collections import Counter
from dataclasses import dataclass, field

from shared import events
from shared.topics import DELIVERIES
from tests.bench.delivery.stage import Stage
from tests.bench.report import print_line
from tests.support.deliveries import get_object_name, read_source
from tests.support.system import Service
from tests.support.wait import eventually

_DELIVERERS = 2
_FAULT_SECONDS = (0.5, 3.0)
_LIMIT_SECONDS = 3600


@dataclass
class _Adversary:
    """Kills and freezes deliverers, and lets the line fail; every process is replaced or goes on."""

    stage: Stage
    random: random.Random
    running: list[Service] = field(default_factory=list)
    started: int = 0

    def start(self) -> None:
        self.started += 1
        self.running.append(self.stage.deliveries.start_deliverer(f"deliverer-{self.started}"))

    async def strike(self) -> None:
        seconds = self.random.uniform(*_FAULT_SECONDS)
        victim = self.random.choice(self.running)
        match self.random.choice(("kill", "freeze", "stall", "cut")):
            case "kill":
                victim.process.kill()
                self.running.remove(victim)
                self.start()
            case "freeze":
                victim.process.pause(paused=True)
                await asyncio.sleep(4 + seconds)  # longer than the lease
                victim.process.pause(paused=False)
            case "stall":
                self.stage.line.stall()
                await asyncio.sleep(seconds)
                self.stage.line.resume()
            case _:
                self.stage.line.cut()
        await asyncio.sleep(seconds)


async def measure(stage: Stage, arguments: argparse.Namespace) -> dict[str, float]:
    """Return how many manifests came before their files, and how many objects are missing or differ in the end."""
    destinations = [stage.make_s3(), stage.make_sftp()]
    generator = random.Random(7)
    runs = []
    for _ in range(max(1, arguments.deliveries // 2)):
        contents = {f"{part}.zip.p7m": os.urandom(generator.randrange(200_000)) for part in range(2)}
        runs.append(await stage.deliveries.make_run([each.destination_id for each in destinations], contents))
    await stage.deliveries.admit(*destinations, *runs)
    adversary = _Adversary(stage, generator)
    for _ in range(_DELIVERERS):
        adversary.start()
    early: set[str] = set()
    watching = asyncio.create_task(_watch(stage, runs, early))
    for _ in range(arguments.faults):
        await adversary.strike()

    async def is_done() -> bool:
        return await stage.deliveries.are_delivered(*runs, count=2)

    await eventually(is_done, timeout=_LIMIT_SECONDS)
    watching.cancel()
    missing, differing = await asyncio.to_thread(_compare, stage, runs)
    doubled = await _count_doubled(stage, runs)
    print_line(f"storm: {2 * len(runs)} deliveries, {adversary.started} deliverers started")
    return {"early_manifests": len(early), "missing": missing, "differing": differing, "doubled": doubled}


async def _count_doubled(stage: Stage, runs: list[events.RunSucceeded]) -> int:
    """Return how many complete objects were sent again."""

    async def read_all() -> list[events.Event] | None:
        found = await stage.deliveries.system.read_events(DELIVERIES)
        completed = sum(isinstance(each, events.DeliveryCompleted) for each in found)
        return found if completed == 2 * len(runs) else None

    found = await eventually(read_all, timeout=120)
    assert found is not None
    sent = Counter(
        (each.delivery_id, each.name) for each in found if isinstance(each, events.FileDelivered) and each.sent
    )
    return sum(count - 1 for count in sent.values())


async def _watch(stage: Stage, runs: list[events.RunSucceeded], early: set[str]) -> None:
    """Look for manifests whose files are not all there, at both destinations."""
    generator = random.Random(11)
    while True:
        run = generator.choice(runs)
        faults = await asyncio.to_thread(_find_early, stage, run)
        early.update(faults)
        await asyncio.sleep(0.02)


def _find_early(stage: Stage, run: events.RunSucceeded) -> list[str]:
    manifest = get_object_name(run, "manifest.json")
    names = [get_object_name(run, file.name) for file in run.files]
    found = []
    # The files are looked for after the manifest, so none can have arrived in between unnoticed.
    if stage.has_s3(manifest) and not all(stage.has_s3(name) for name in names):
        found.append(f"s3 {manifest}")
    if (stage.folder / manifest).exists() and not all((stage.folder / name).exists() for name in names):
        found.append(f"sftp {manifest}")
    return found


def _compare(stage: Stage, runs: list[events.RunSucceeded]) -> tuple[int, int]:
    missing = differing = 0
    for run in runs:
        for file in (*(each.name for each in run.files), "manifest.json"):
            name, expected = get_object_name(run, file), read_source(stage.deliveries.store, run, file)
            path = stage.folder / name
            for content in (stage.read_s3(name), path.read_bytes() if path.exists() else None):
                missing += content is None
                differing += content is not None and content != expected
    return missing, differing
