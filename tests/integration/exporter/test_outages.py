"""Outages of an exporter's servers in the middle of a run: one terminal state, the right files."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.reaper import Reaper
from shared import events
from tests.integration.exporter.conftest import ExportSystem
from tests.integration.exporter.gates import PASSWORD, ROWS, GatedHistory
from tests.integration.exporter.proof import RunEvents, check_run, follow_run
from tests.support.faulty_proxy import FaultyProxy, open_faulty_proxy
from tests.support.servers import Databases
from tests.support.system import Service, System
from tests.support.wait import eventually

MIB = 1024 * 1024


@dataclass
class StoppableSystem:
    """A system whose servers belong to this module alone, so that it can stop them."""

    kafka: Kafka
    postgres: Postgres
    source: Postgres
    exports: ExportSystem
    history: GatedHistory
    exporter: Service
    proxy: FaultyProxy
    """Stands between the exporter and its source."""

    async def wait_for_success(
        self, story: Callable[[], Awaitable[RunEvents]], trigger: events.SlotTriggered
    ) -> RunEvents:
        """Wait until a run has succeeded, check its files, and return its events."""
        found = await story()
        assert found.run_id == trigger.run_id
        await check_run(self.exports, self.history, found)
        return found


@pytest.fixture(scope="module")
async def stage(
    reaper: Reaper, servers_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StoppableSystem]:
    kafka = Kafka(servers_folder / "kafka-outages", reaper)
    postgres = Postgres(servers_folder / "postgres-outages", reaper, durable=False)
    source = Postgres(servers_folder / "source-outages", reaper, durable=False)
    databases = Databases(postgres.start())
    source.start()
    source.create_database("history")
    reader = source.dsn("gated_reader", PASSWORD, "history")
    history = await GatedHistory.fill(source.admin_dsn_of("history"), reader, rows=ROWS, attachments=200)
    system = await System.prepare(tmp_path_factory.mktemp("logs"), kafka.start(), databases, reaper)
    exports = ExportSystem(system, "history", tmp_path_factory.mktemp("outages") / "store")
    await exports.insert_certificate()
    with open_faulty_proxy(reader) as proxy:
        exporter = exports.start_exporter(
            "steady", SOURCE=proxy.redirect(reader), SLICE_ROWS="100000", LEASE="PT6S", SOURCE_STALL="PT2S"
        )
        await exporter.wait_ready()
        yield StoppableSystem(kafka, postgres, source, exports, history, exporter, proxy)
    system.stop()
    for server in (kafka, postgres, source):
        server.stop()


async def test_R2_PostgreSQL_restarts_during_a_run(stage: StoppableSystem) -> None:
    trigger = stage.exports.make_trigger(split_size=MIB)
    async with follow_run(stage.exports, trigger.run_id) as story:
        async with stage.history.close_gate_at("interaction", ROWS // 2) as gate:
            await stage.exports.system.publish(trigger)
            await gate.wait_until_reached()
            await asyncio.to_thread(stage.postgres.stop)
            await asyncio.to_thread(stage.postgres.start)
        found = await stage.wait_for_success(story, trigger)
    # It was back within the lease, so the run was not taken over.
    assert len(found.of_type(events.RunStarted)) == 1


async def test_R2_Kafka_restarts_during_a_run(stage: StoppableSystem) -> None:
    trigger = stage.exports.make_trigger(split_size=MIB)
    async with stage.history.close_gate_at("interaction", ROWS // 2) as gate:
        await stage.exports.system.publish(trigger)
        await gate.wait_until_reached()
        await asyncio.to_thread(stage.kafka.stop)
        await gate.open()
        # The files need no Kafka: the run ends during the outage, and its events are published afterwards.
        assert await stage.exports.wait_until_ended(trigger.run_id) == "succeeded"
        await asyncio.to_thread(stage.kafka.start)
    async with follow_run(stage.exports, trigger.run_id, from_beginning=True) as story:
        await stage.wait_for_success(story, trigger)


async def test_R5_the_store_fails_for_a_while(stage: StoppableSystem) -> None:
    trigger = stage.exports.make_trigger(split_size=MIB)
    store, aside = stage.exports.store / "runs", stage.exports.store / "aside"
    async with follow_run(stage.exports, trigger.run_id) as story:
        async with stage.history.close_gate_at("interaction", ROWS // 2) as gate:
            await stage.exports.system.publish(trigger)
            await gate.wait_until_reached()
            finished = await stage.exports.wait_for_parts(trigger.run_id, 3)
            # A file in place of the folder: no user can write to it.
            store.rename(aside)
            store.write_text("not a folder")
            await gate.open()
            failed = "SELECT true FROM run WHERE run_id = $1 AND state = 'queued' AND attempt = 1"
            await eventually(lambda: stage.exports.system.fetch("exporter", failed, trigger.run_id))
            store.unlink()
            aside.rename(store)
        found = await stage.wait_for_success(story, trigger)
    (attempt,) = found.of_type(events.RunAttemptFailed)
    assert isinstance(attempt, events.RunAttemptFailed)
    assert attempt.code == "store-unavailable"
    assert attempt.retry_at > attempt.at
    assert finished <= {file.object for file in found.succeeded.files}, "a retry continues from the finished parts (R3)"


async def test_R5_the_source_is_unavailable_for_a_while(stage: StoppableSystem) -> None:
    trigger = stage.exports.make_trigger(split_size=MIB, attempts=5)
    async with follow_run(stage.exports, trigger.run_id) as story:
        async with stage.history.close_gate_at("interaction", ROWS // 2) as gate:
            await stage.exports.system.publish(trigger)
            await gate.wait_until_reached()
            finished = await stage.exports.wait_for_parts(trigger.run_id, 3)
            await asyncio.to_thread(stage.source.stop)
        failed = "SELECT true FROM run WHERE run_id = $1 AND attempt >= 1 AND state = 'queued'"
        await eventually(lambda: stage.exports.system.fetch("exporter", failed, trigger.run_id))
        await asyncio.to_thread(stage.source.start)
        found = await stage.wait_for_success(story, trigger)
    codes = {event.code for event in found.received if isinstance(event, events.RunAttemptFailed)}
    assert codes == {"source-unavailable"}
    assert finished <= {file.object for file in found.succeeded.files}


async def test_R5_the_source_vanishes_without_closing_its_connections(stage: StoppableSystem) -> None:
    trigger = stage.exports.make_trigger(split_size=MIB, attempts=5)
    async with follow_run(stage.exports, trigger.run_id) as story:
        async with stage.history.close_gate_at("interaction", ROWS // 2) as gate:
            await stage.exports.system.publish(trigger)
            await gate.wait_until_reached()
            finished = await stage.exports.wait_for_parts(trigger.run_id, 3)
            stage.proxy.stall()
            failed = "SELECT true FROM run WHERE run_id = $1 AND attempt >= 1 AND state = 'queued'"
            await eventually(lambda: stage.exports.system.fetch("exporter", failed, trigger.run_id))
        stage.proxy.cut()
        stage.proxy.resume()
        found = await stage.wait_for_success(story, trigger)
    messages = [event.message for event in found.received if isinstance(event, events.RunAttemptFailed)]
    assert "has sent nothing for 2 s" in messages[0]
    assert finished <= {file.object for file in found.succeeded.files}, "a retry continues from the finished parts (R3)"


async def test_R5_the_source_vanishes_before_its_watermark_is_read(stage: StoppableSystem) -> None:
    trigger = stage.exports.make_trigger(timeframe=events.Timeframe(kind="since_last_run"), attempts=5)
    async with follow_run(stage.exports, trigger.run_id) as story:
        stage.proxy.stall()
        await stage.exports.system.publish(trigger)
        failed = "SELECT true FROM run WHERE run_id = $1 AND attempt >= 1 AND state = 'queued'"
        await eventually(lambda: stage.exports.system.fetch("exporter", failed, trigger.run_id))
        stage.proxy.cut()
        stage.proxy.resume()
        found = await stage.wait_for_success(story, trigger)
    codes = {event.code for event in found.received if isinstance(event, events.RunAttemptFailed)}
    assert codes == {"source-unavailable"}


async def test_R5_a_lasting_store_outage_fails_the_run_after_its_attempts(stage: StoppableSystem) -> None:
    trigger = stage.exports.make_trigger(attempts=2)
    store, aside = stage.exports.store / "runs", stage.exports.store / "aside"
    store.rename(aside)
    store.write_text("not a folder")
    try:
        async with follow_run(stage.exports, trigger.run_id) as story:
            await stage.exports.system.publish(trigger)
            found = await story()
    finally:
        store.unlink()
        aside.rename(store)
    failed = found.received[-1]
    assert isinstance(failed, events.RunFailed)
    assert (failed.code, failed.attempt) == ("store-unavailable", 2)
    assert "tried 2 times" in failed.message
    assert [type(event).__name__ for event in found.received].count("RunAttemptFailed") == 1
