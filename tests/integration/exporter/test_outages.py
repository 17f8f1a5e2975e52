"""What an exporter stands on goes away in the middle of a run and comes back: one end, the right files."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.reaper import Reaper
from shared import events
from shared.postgres import migrate
from tests.integration.exporter.conftest import Exports
from tests.integration.exporter.gates import PASSWORD, ROWS, GatedHistory
from tests.integration.exporter.proof import Story, prove, told
from tests.support.servers import Databases
from tests.support.system import Service, System
from tests.support.wait import eventually

MIB = 1024 * 1024


@dataclass
class Stage:
    """A system whose every server is this module's own, so that it may be stopped."""

    kafka: Kafka
    postgres: Postgres
    source: Postgres
    exports: Exports
    history: GatedHistory
    exporter: Service

    async def ended(self, story: Callable[[], Awaitable[Story]], trigger: events.SlotTriggered) -> Story:
        """Return the story of a run that succeeded, with its files proven."""
        found = await story()
        assert found.run_id == trigger.run_id
        await prove(self.exports, self.history, found)
        return found


@pytest.fixture(scope="module")
async def stage(reaper: Reaper, servers_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    kafka = Kafka(servers_folder / "kafka-outages", reaper)
    postgres = Postgres(servers_folder / "postgres-outages", reaper, durable=False)
    source = Postgres(servers_folder / "source-outages", reaper, durable=False)
    databases = Databases(postgres.start())
    source.start()
    source.create_database("history")
    reader = source.dsn("gated_reader", PASSWORD, "history")
    history = await GatedHistory.fill(source.admin_dsn_of("history"), reader, rows=ROWS, attachments=200)
    system = await System.prepare(tmp_path_factory.mktemp("logs"), kafka.start(), databases, reaper, services=())
    await migrate(system.dsn("exporter"), "exporter")
    exports = Exports(system, "history", tmp_path_factory.mktemp("outages") / "store")
    await exports.certificate_admitted()
    exporter = exports.exporter("steady", SOURCE=reader, SLICE_ROWS="100000", LEASE="PT6S")
    await exporter.ready()
    yield Stage(kafka, postgres, source, exports, history, exporter)
    system.stop()
    for server in (kafka, postgres, source):
        server.stop()


async def test_R2_PostgreSQL_is_restarted_in_the_middle(stage: Stage) -> None:
    trigger = stage.exports.trigger(split_size=MIB)
    async with told(stage.exports, trigger.run_id) as story:
        async with stage.history.closed_at("interaction", ROWS // 2) as gate:
            await stage.exports.system.publish(trigger)
            await gate.reached()
            await asyncio.to_thread(stage.postgres.stop)
            await asyncio.to_thread(stage.postgres.start)
        found = await stage.ended(story, trigger)
    # Back within the lease, so the run never changed hands.
    assert len(found.of(events.RunStarted)) == 1


async def test_R2_Kafka_is_restarted_in_the_middle(stage: Stage) -> None:
    trigger = stage.exports.trigger(split_size=MIB)
    async with stage.history.closed_at("interaction", ROWS // 2) as gate:
        await stage.exports.system.publish(trigger)
        await gate.reached()
        await asyncio.to_thread(stage.kafka.stop)
        await gate.open()
        # The files need no Kafka: the run ends while it is away, and is told of when it is back.
        assert await stage.exports.ended(trigger.run_id) == "succeeded"
        await asyncio.to_thread(stage.kafka.start)
    async with told(stage.exports, trigger.run_id, from_beginning=True) as story:
        await stage.ended(story, trigger)


async def test_R5_the_store_fails_and_comes_back(stage: Stage) -> None:
    trigger = stage.exports.trigger(split_size=MIB)
    store, aside = stage.exports.store / "runs", stage.exports.store / "aside"
    async with told(stage.exports, trigger.run_id) as story:
        async with stage.history.closed_at("interaction", ROWS // 2) as gate:
            await stage.exports.system.publish(trigger)
            await gate.reached()
            kept = await stage.exports.finished(trigger.run_id, 3)
            # A file in the folder's place: whoever runs the tests, nobody can write into it.
            store.rename(aside)
            store.write_text("not a folder")
            await gate.open()
            failed = "SELECT true FROM run WHERE run_id = $1 AND state = 'queued' AND attempt = 1"
            await eventually(lambda: stage.exports.system.fetch("exporter", failed, trigger.run_id))
            store.unlink()
            aside.rename(store)
        found = await stage.ended(story, trigger)
    (attempt,) = found.of(events.RunAttemptFailed)
    assert isinstance(attempt, events.RunAttemptFailed)
    assert attempt.code == "store-unavailable"
    assert attempt.retry_at > attempt.at
    assert kept <= {file.object for file in found.succeeded.files}, "a retry goes on from the finished parts (R3)"


async def test_R5_the_source_is_gone_and_comes_back(stage: Stage) -> None:
    trigger = stage.exports.trigger(split_size=MIB, attempts=5)
    async with told(stage.exports, trigger.run_id) as story:
        async with stage.history.closed_at("interaction", ROWS // 2) as gate:
            await stage.exports.system.publish(trigger)
            await gate.reached()
            kept = await stage.exports.finished(trigger.run_id, 3)
            await asyncio.to_thread(stage.source.stop)
        failed = "SELECT true FROM run WHERE run_id = $1 AND attempt >= 1 AND state = 'queued'"
        await eventually(lambda: stage.exports.system.fetch("exporter", failed, trigger.run_id))
        await asyncio.to_thread(stage.source.start)
        found = await stage.ended(story, trigger)
    codes = {event.code for event in found.told if isinstance(event, events.RunAttemptFailed)}
    assert codes == {"source-unavailable"}
    assert kept <= {file.object for file in found.succeeded.files}


async def test_R5_a_store_that_stays_away_fails_the_run_at_its_limit_with_words(stage: Stage) -> None:
    trigger = stage.exports.trigger(attempts=2)
    store, aside = stage.exports.store / "runs", stage.exports.store / "aside"
    store.rename(aside)
    store.write_text("not a folder")
    try:
        async with told(stage.exports, trigger.run_id) as story:
            await stage.exports.system.publish(trigger)
            found = await story()
    finally:
        store.unlink()
        aside.rename(store)
    failed = found.told[-1]
    assert isinstance(failed, events.RunFailed)
    assert (failed.code, failed.attempt) == ("store-unavailable", 2)
    assert "tried 2 times" in failed.message
    assert [type(event).__name__ for event in found.told].count("RunAttemptFailed") == 1
