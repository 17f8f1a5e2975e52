"""A storm: one huge run and a hundred small ones, while exporters are killed and frozen at random."""

from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from deploy.local.kafka import Kafka
from deploy.local.reaper import Reaper
from shared import events
from tests.integration.exporter.conftest import ExportSystem
from tests.integration.exporter.gates import GatedHistory
from tests.integration.exporter.proof import check_run, follow_run
from tests.support.servers import Databases
from tests.support.system import Service, System
from tests.support.wait import eventually

MIB = 1024 * 1024
EXPORTERS, SMALL_RUNS = 3, 100
BLOWS = int(environ.get("SLUICE_TEST_STORM_BLOWS", "25"))
SEED = int(environ.get("SLUICE_TEST_STORM_SEED", "1"))
_MOVED = """
SELECT (SELECT count(*) FROM part) + (SELECT count(*) FROM run WHERE ended_at IS NOT NULL) AS moved,
       (SELECT count(*) FROM run WHERE ended_at IS NULL) AS open
"""


@dataclass
class ExporterGroup:
    """Exporters that are replaced when they are killed."""

    exports: ExportSystem
    settings: dict[str, str]
    members: list[Service] = field(default_factory=list)
    frozen: Service | None = None
    started: int = 0

    def fill_up(self) -> None:
        """Start exporters until there are enough."""
        while len(self.members) < EXPORTERS:
            self.started += 1
            self.members.append(self.exports.start_exporter(f"exporter-{self.started}", **self.settings))

    def strike(self, random: Random) -> None:
        """Kill one, or freeze one; the one frozen before continues."""
        victim = random.choice(self.members)
        if self.frozen is not None:
            self.frozen.process.pause(paused=False)
            self.frozen = None
        if random.random() < 0.7:
            self.members.remove(victim)
            victim.process.kill()
        else:
            victim.process.pause(paused=True)
            self.frozen = victim
        self.fill_up()

    def resume(self) -> None:
        """Let all exporters continue."""
        if self.frozen is not None:
            self.frozen.process.pause(paused=False)


@pytest.fixture
async def exports(
    reaper: Reaper, servers_folder: Path, postgres: Databases, tmp_path_factory: pytest.TempPathFactory
) -> ExportSystem:
    kafka = Kafka(servers_folder / "kafka-storm", reaper)
    system = await System.prepare(tmp_path_factory.mktemp("logs"), kafka.start(), postgres, reaper)
    return ExportSystem(system, "", tmp_path_factory.mktemp("store"))


@pytest.mark.timeout(3600)
async def test_R2_R3_R4_a_storm_leaves_every_run_with_one_terminal_state_and_the_right_files(
    exports: ExportSystem,
) -> None:
    history = await GatedHistory.create(exports.system.databases, rows=60_000, attachments=2_000)
    await exports.insert_certificate()
    group = ExporterGroup(exports, {"SOURCE": history.reader, "SLICE_ROWS": "2000", "SLOTS": "2"})
    huge = exports.make_trigger(split_size=MIB)
    hour = events.Timeframe(kind="last", count=1, unit="hours")
    small = [exports.make_trigger(timeframe=hour) for _ in range(SMALL_RUNS)]
    random, seen = Random(SEED), 0

    async def moved() -> int:
        """Return the progress once it has advanced, so that every kill hits work in progress."""
        (row,) = await exports.system.fetch("exporter", _MOVED)
        assert row["moved"] > seen or row["open"] == 0
        return int(row["moved"]) + 1

    group.fill_up()
    async with follow_run(exports, huge.run_id) as story:
        await exports.admit(huge, *small)
        for _ in range(BLOWS):
            seen = await eventually(moved, timeout=120)
            group.strike(random)
        group.resume()
        found = await story()
    manifest = await check_run(exports, history, found)
    assert manifest["snapshot_rows"] == {"interaction": 60_000, "interaction-attachment": 2_000}
    for trigger in small:
        assert await exports.wait_until_ended(trigger.run_id) == "succeeded"
        await check_visible_files(exports, trigger.run_id)
    exports.system.stop()


async def check_visible_files(exports: ExportSystem, run_id: UUID) -> None:
    """Wait until a run's folder contains only its two files and the manifest, and compare them."""
    await eventually(lambda: len(exports.list_objects(run_id)) == 3)
    files = exports.read_manifest(run_id)["files"]
    assert isinstance(files, list)
    found = sorted(
        len(exports.read_records(exports.store / name)) for name in exports.list_objects(run_id) if "p7m" in name
    )
    assert found == sorted(file["rows"] for file in files)
    assert sum(found) > 0
