"""A storm over exporters: one huge run and a hundred small ones while exporters are killed and frozen at random."""

from dataclasses import dataclass, field
from os import environ
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from deploy.local.kafka import Kafka
from deploy.local.reaper import Reaper
from shared import events
from shared.postgres import migrate
from tests.integration.exporter.conftest import Exports
from tests.integration.exporter.gates import GatedHistory
from tests.integration.exporter.proof import prove, told
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
class Crew:
    """Exporters that are replaced when they are killed."""

    exports: Exports
    settings: dict[str, str]
    members: list[Service] = field(default_factory=list)
    frozen: Service | None = None
    started: int = 0

    def fill_up(self) -> None:
        """Start exporters until there are enough."""
        while len(self.members) < EXPORTERS:
            self.started += 1
            self.members.append(self.exports.exporter(f"exporter-{self.started}", **self.settings))

    def strike(self, random: Random) -> None:
        """Kill one, or freeze one and let the last frozen one go on."""
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

    def calm(self) -> None:
        """Let everybody go on."""
        if self.frozen is not None:
            self.frozen.process.pause(paused=False)


@pytest.fixture
async def exports(
    reaper: Reaper, servers_folder: Path, postgres: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Exports:
    kafka = Kafka(servers_folder / "kafka-storm", reaper)
    system = await System.prepare(tmp_path_factory.mktemp("logs"), kafka.start(), postgres, reaper, services=())
    await migrate(system.dsn("exporter"), "exporter")
    return Exports(system, "", tmp_path_factory.mktemp("store"))


@pytest.mark.timeout(3600)
async def test_R2_R3_R4_a_storm_leaves_every_run_with_one_end_and_the_right_files(exports: Exports) -> None:
    history = await GatedHistory.create(exports.system.databases, rows=60_000, attachments=2_000)
    await exports.certificate_admitted()
    crew = Crew(exports, {"SOURCE": history.reader, "SLICE_ROWS": "2000", "SLOTS": "2"})
    huge = exports.trigger(split_size=MIB)
    hour = events.Timeframe(kind="last", count=1, unit="hours")
    small = [exports.trigger(timeframe=hour) for _ in range(SMALL_RUNS)]
    random, seen = Random(SEED), 0

    async def moved() -> int:
        """Return how far all is, once that is further than before; a blow falls only on what moves."""
        (row,) = await exports.system.fetch("exporter", _MOVED)
        assert row["moved"] > seen or row["open"] == 0
        return int(row["moved"]) + 1

    crew.fill_up()
    async with told(exports, huge.run_id) as story:
        await exports.admit(huge, *small)
        for _ in range(BLOWS):
            seen = await eventually(moved, timeout=120)
            crew.strike(random)
        crew.calm()
        found = await story()
    manifest = await prove(exports, history, found)
    assert manifest["snapshot_rows"] == {"interaction": 60_000, "interaction-attachment": 2_000}
    for trigger in small:
        assert await exports.ended(trigger.run_id) == "succeeded"
        await shows_its_files_only(exports, trigger.run_id)
    exports.system.stop()


async def shows_its_files_only(exports: Exports, run_id: UUID) -> None:
    """Wait until a run's folder holds its two files and the manifest, and compare the manifest with them."""
    await eventually(lambda: len(exports.objects(run_id)) == 3)
    files = exports.manifest(run_id)["files"]
    assert isinstance(files, list)
    found = sorted(len(exports.records(exports.store / name)) for name in exports.objects(run_id) if "p7m" in name)
    assert found == sorted(file["rows"] for file in files)
    assert sum(found) > 0
