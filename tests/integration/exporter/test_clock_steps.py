"""The database's clock is set back or forward: leases and retries are judged by time that has passed (R2, R5)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import pytest

from deploy.local.reaper import Reaper
from shared import events
from shared.postgres import migrate
from shared.provision import OWNER
from tests.integration.exporter.conftest import ExportSystem
from tests.integration.exporter.gates import ROWS, GatedHistory
from tests.integration.exporter.proof import check_run, follow_run
from tests.support.servers import PASSWORD, Databases
from tests.support.system import System
from tests.support.wait import eventually

MIB = 1024 * 1024
# The exporter's tables find this function before PostgreSQL's own.
CLOCK = """
CREATE SCHEMA stepped;
CREATE TABLE stepped.step (by interval NOT NULL);
INSERT INTO stepped.step VALUES ('0');
CREATE FUNCTION stepped.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
    AS 'SELECT pg_catalog.clock_timestamp() + by FROM stepped.step';
GRANT USAGE ON SCHEMA stepped TO exporter, sluice_owner;
GRANT SELECT ON stepped.step TO exporter;
"""


@dataclass
class SteppedSystem:
    """Exporters whose database has a clock that can be set."""

    exports: ExportSystem
    history: GatedHistory
    admin: str

    async def step(self, by: timedelta) -> None:
        """Set the database's clock back or forward, compared to what it should be."""
        connection = await asyncpg.connect(self.admin)
        await connection.execute("UPDATE stepped.step SET by = $1", by)
        await connection.close()


@pytest.fixture(scope="module")
async def stage(
    own_kafka: str, postgres: Databases, reaper: Reaper, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SteppedSystem]:
    system = await System.prepare(tmp_path_factory.mktemp("logs"), own_kafka, postgres, reaper, is_migrated=False)
    admin = postgres.dsn(system.database)
    connection = await asyncpg.connect(admin)
    await connection.execute(CLOCK)
    for role in ("exporter", OWNER):
        await connection.execute(
            f'ALTER ROLE {role} IN DATABASE "{system.database}" SET search_path = exporter, stepped, public, pg_catalog'
        )
    await connection.close()
    await migrate(postgres.dsn(system.database, role=OWNER, password=PASSWORD), "exporter")
    exports = ExportSystem(system, "history", tmp_path_factory.mktemp("steps") / "store")
    await exports.insert_certificate()
    yield SteppedSystem(exports, await GatedHistory.create(postgres, attachments=1), admin)
    system.stop()


@pytest.mark.parametrize("step", [timedelta(seconds=-150), timedelta(hours=1)], ids=["back", "forward"])
async def test_R2_a_takeover_takes_as_long_as_a_lease_whatever_the_database_s_clock_does(
    stage: SteppedSystem, step: timedelta
) -> None:
    await stage.step(timedelta(0))
    trigger = stage.exports.make_trigger(split_size=MIB)
    first = stage.exports.start_exporter("first", SOURCE=stage.history.reader, LEASE="PT6S")
    async with follow_run(stage.exports, trigger.run_id) as story:
        async with stage.history.close_gate_at("interaction", ROWS // 2) as gate:
            await stage.exports.admit(trigger)
            await gate.wait_until_reached()
            second = stage.exports.start_exporter("second", SOURCE=stage.history.reader, LEASE="PT6S")
            await second.wait_ready()
            await stage.step(step)
            # The holder renews its lease meanwhile, and keeps it.
            before = await read_claim(stage, trigger)
            await eventually(lambda: has_renewed(stage, trigger, before["heartbeat"] + 3))
            assert (await read_claim(stage, trigger))["token"] == 1
            first.process.kill()
            await eventually(lambda: is_taken_over(stage, trigger), timeout=30)
        found = await story()
    await check_run(stage.exports, stage.history, found)
    assert len(found.of_type(events.RunStarted)) == 2
    assert second.process.stop() == 0


async def read_claim(stage: SteppedSystem, trigger: events.SlotTriggered) -> asyncpg.Record:
    query = "SELECT token, heartbeat FROM run WHERE run_id = $1"
    return (await stage.exports.system.fetch("exporter", query, trigger.run_id))[0]


async def has_renewed(stage: SteppedSystem, trigger: events.SlotTriggered, heartbeat: int) -> bool:
    return bool((await read_claim(stage, trigger))["heartbeat"] >= heartbeat)


async def is_taken_over(stage: SteppedSystem, trigger: events.SlotTriggered) -> bool:
    return bool((await read_claim(stage, trigger))["token"] > 1)


async def test_R5_a_retry_waits_no_longer_than_its_delay_when_the_clock_is_set_back(stage: SteppedSystem) -> None:
    await stage.step(timedelta(0))
    trigger = stage.exports.make_trigger(split_size=MIB)
    exporter = stage.exports.start_exporter("exporter", SOURCE=stage.history.reader)
    runs = stage.exports.store / "runs"
    aside = stage.exports.store / "aside"
    # The folder exists only once a run has written into the store.
    runs.mkdir(parents=True, exist_ok=True)
    runs.rename(aside)
    runs.write_text("not a folder")
    async with follow_run(stage.exports, trigger.run_id) as story:
        await stage.exports.admit(trigger)
        failed = "SELECT true FROM run WHERE run_id = $1 AND state = 'queued' AND attempt >= 1"
        await eventually(lambda: stage.exports.system.fetch("exporter", failed, trigger.run_id))
        await stage.step(timedelta(hours=-1))
        runs.unlink()
        aside.rename(runs)
        found = await asyncio.wait_for(story(), 60)
    assert found.succeeded
    await stage.step(timedelta(0))
    assert exporter.process.stop() == 0
