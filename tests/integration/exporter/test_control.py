"""Cancellation, hand-back, errors by class, and fairness."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from shared import events
from tests.contract.samples import USER
from tests.integration.exporter.conftest import ExportSystem
from tests.integration.exporter.gates import ROWS, GatedHistory
from tests.integration.exporter.proof import check_run, follow_run
from tests.support.listener import Listener
from tests.support.system import Service
from tests.support.wait import eventually

MIB = 1024 * 1024
SMALL_RUNS = 20
_BACKENDS = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'sluice-exporter' AND datname = current_database()
"""


@pytest.fixture(scope="module")
async def history(exports: ExportSystem) -> GatedHistory:
    await exports.insert_certificate()
    return await GatedHistory.create(exports.system.databases)


@pytest.fixture
async def exporter(exports: ExportSystem, history: GatedHistory) -> AsyncIterator[Service]:
    service = exports.start_exporter("exporter", SOURCE=history.reader, SLICE_ROWS="1000")
    yield service
    service.process.stop()


def make_small_trigger(exports: ExportSystem) -> events.SlotTriggered:
    """Return the trigger of a run that selects no records."""
    window = events.Timeframe(kind="last", count=1, unit="hours")
    return replace(trigger := exports.make_trigger(timeframe=window), slot=trigger.slot.replace(year=2020))


async def test_R6_a_cancellation_deletes_files_and_frees_the_source(
    exports: ExportSystem, history: GatedHistory, exporter: Service
) -> None:
    trigger = exports.make_trigger(split_size=MIB)
    connection = await asyncpg.connect(history.admin)
    await exporter.wait_ready()
    async with follow_run(exports, trigger.run_id) as story, history.close_gate_at("interaction", ROWS // 2) as gate:
        await exports.admit(trigger)
        await gate.wait_until_reached()
        await eventually(lambda: exports.list_objects(trigger.run_id))
        assert await exporter.metric("sluice_run_silent_seconds") >= 0
        await exports.system.publish(
            events.CancelRun(
                job_id=trigger.job_id,
                tenant_id=trigger.tenant_id,
                run_id=trigger.run_id,
                reason="requested",
                requested_by=USER,
                requested_at=trigger.triggered_at,
            )
        )
        found = await story()

        async def is_source_idle() -> bool:
            return int(await connection.fetchval(_BACKENDS)) == 0

        # The gate is still closed, so the backend is freed in the middle of its query.
        await eventually(is_source_idle)
        await eventually(lambda: not exports.list_objects(trigger.run_id))
        assert await gate.is_closed()
    await connection.close()
    end = found.received[-1]
    assert isinstance(end, events.RunCancelled)
    assert (end.reason, end.requested_by) == ("requested", USER)
    assert await exporter.metric("sluice_runs_ended_total", fault="", reason="requested", state="cancelled") == 1


async def test_R2_progress_is_reported_before_the_first_record(
    exports: ExportSystem, history: GatedHistory, exporter: Service
) -> None:
    trigger = exports.make_trigger()
    await exporter.wait_ready()
    async with (
        follow_run(exports, trigger.run_id) as story,
        Listener(exports.system.kafka, "sluice.progress") as progress,
        history.close_gate_at("interaction", 1) as gate,
    ):
        await exports.admit(trigger)
        await gate.wait_until_reached()
        first = await progress.find(lambda event: getattr(event, "run_id", None) == trigger.run_id)
        assert await gate.is_closed(), "no record was read yet"
        assert isinstance(first, events.RunProgressed)
        assert (first.seq, first.units_done) == (1, 0)
        sized = await progress.find(lambda event: isinstance(event, events.RunProgressed) and bool(event.units_total))
        assert isinstance(sized, events.RunProgressed)
        assert sized.units_done == 0, "the total is reported before any record is read"

        async def has_stalled() -> bool:
            return await exporter.metric("sluice_run_silent_seconds") > 2

        await eventually(has_stalled)
        await gate.open()
        phases: list[str] = []
        while not phases or phases[-1] != "store":
            event = await progress.find(lambda event: getattr(event, "run_id", None) == trigger.run_id)
            assert isinstance(event, events.RunProgressed)
            phases.append(event.phase)
        assert [phase for phase in phases if phase not in {"count", "export"}] == ["package", "store"]
        await check_run(exports, history, await story())

    async def is_idle() -> bool:
        return await exporter.metric("sluice_run_silent_seconds") == 0

    await eventually(is_idle)
    assert await exporter.metric("sluice_first_progress_seconds_count") == 1


async def test_R7_SIGTERM_hands_a_split_run_back_at_the_next_part(exports: ExportSystem, history: GatedHistory) -> None:
    leaver = exports.start_exporter("leaver", SOURCE=history.reader, SLICE_ROWS="100000", DRAIN="PT1M")
    trigger = exports.make_trigger(split_size=MIB)
    async with follow_run(exports, trigger.run_id) as story:
        async with history.close_gate_at("interaction", ROWS // 2) as gate:
            await exports.admit(trigger)
            await gate.wait_until_reached()
            await exports.wait_for_parts(trigger.run_id, 4)
            leaver.process.request_stop()
            await eventually(lambda: is_stopping(leaver))
            await gate.open()
            await eventually(lambda: leaver.process.exit_code() is not None)
            assert leaver.process.exit_code() == 0
            rows = await exports.system.fetch(
                "exporter", "SELECT state, attempt FROM run WHERE run_id = $1", trigger.run_id
            )
            finished = await exports.system.fetch(
                "exporter", "SELECT object FROM part WHERE run_id = $1", trigger.run_id
            )
            assert [(row["state"], row["attempt"]) for row in rows] == [("queued", 0)]
            assert 4 <= len(finished) < 9
        successor = exports.start_exporter("successor", SOURCE=history.reader)
        found = await story()
    await check_run(exports, history, found)
    assert [type(event).__name__ for event in found.received].count("RunHandedBack") == 1
    assert {row["object"] for row in finished} <= {file.object for file in found.succeeded.files}
    assert successor.process.stop() == 0


async def is_stopping(service: Service) -> bool:
    """Return whether a process reports that it is stopping."""
    async with httpx.AsyncClient() as client:
        return "stopping" in (await client.get(f"{service.url}/readyz")).text


@pytest.mark.parametrize("fault", ["login", "views"])
async def test_R5_a_permanent_error_fails_at_once_with_the_reason(
    exports: ExportSystem, history: GatedHistory, fault: str
) -> None:
    if fault == "login":
        source, code, message = (
            history.reader.replace("reader-password", "wrong"),
            "source-access-refused",
            "refuses access",
        )
    else:
        source, code, message = await exports.system.databases.create(), "source-bad-mapping", "lacks a view"
    exporter = exports.start_exporter("exporter", SOURCE=source)
    trigger = exports.make_trigger()
    async with follow_run(exports, trigger.run_id) as story:
        await exports.admit(trigger)
        found = await story()
    failed = found.received[-1]
    assert isinstance(failed, events.RunFailed)
    assert (failed.code, failed.attempt) == (code, 1)
    assert message in failed.message
    assert "wrong-p" not in exporter.log()
    assert exports.list_objects(trigger.run_id) == []
    exporter.process.stop()


async def test_R4_a_huge_run_does_not_delay_small_ones(exports: ExportSystem, history: GatedHistory) -> None:
    first = exports.start_exporter("first", SOURCE=history.reader, SLICE_ROWS="1000")
    huge = exports.make_trigger(split_size=MIB)
    async with follow_run(exports, huge.run_id) as story:
        async with history.close_gate_at("interaction", 700) as gate:
            await exports.admit(huge)
            await gate.wait_until_reached()
            second = exports.start_exporter("second", SOURCE=history.reader, SLICE_ROWS="1000")
            helped = "SELECT true FROM slice WHERE run_id = $1 AND exporter = 'second'"
            await eventually(lambda: exports.system.fetch("exporter", helped, huge.run_id))
            triggers = [make_small_trigger(exports) for _ in range(SMALL_RUNS)]
            await exports.admit(*triggers)
            for trigger in triggers:
                assert await exports.wait_until_ended(trigger.run_id) == "succeeded"
            assert await exports.read_state(huge.run_id) == "running"
        found = await story()
    await check_run(exports, history, found)
    reported = await second.metric("sluice_first_progress_seconds_count")
    assert reported >= SMALL_RUNS
    assert await second.metric("sluice_first_progress_seconds_sum") / reported < 1.5
    for each in (first, second):
        assert each.process.stop() == 0


async def test_R4_a_tenant_limit_does_not_delay_other_tenants(exports: ExportSystem, history: GatedHistory) -> None:
    other: UUID = uuid4()
    await exports.insert_certificate(other, 102)
    row = await history.add_interaction(102)
    triggers = [*(exports.make_trigger() for _ in range(3)), exports.make_trigger(tenant=other, source_tenant=102)]
    async with Listener(exports.system.kafka, "sluice.runs") as runs:
        async with history.close_gate_at("interaction", 10, row) as gate:
            await exports.admit(*triggers)
            exporter = exports.start_exporter("limited", SOURCE=history.reader, SLOTS="4", TENANT_LIMIT="1")
            running = "SELECT tenant_id FROM run WHERE state = 'running' ORDER BY tenant_id"
            await eventually(lambda: exports.read_state(triggers[-1].run_id))

            async def are_both_running() -> bool:
                found = [row["tenant_id"] for row in await exports.system.fetch("exporter", running)]
                assert len(found) <= 2
                return found == sorted([exports.tenant, other])

            await eventually(are_both_running)
            await gate.wait_until_reached()
            await gate.open()
        started: dict[UUID, datetime] = {}
        ended: dict[UUID, datetime] = {}
        while len(ended) < len(triggers):
            event = await runs.find(lambda event: isinstance(event, events.RunStarted | events.RunSucceeded))
            assert isinstance(event, events.RunEvent)
            (ended if isinstance(event, events.RunSucceeded) else started)[event.run_id] = event.at
    limited = sorted((started[each.run_id], ended[each.run_id]) for each in triggers[:3])
    assert all(one[1] < other[0] for one, other in pairwise(limited)), "one run of the tenant at a time"
    assert exporter.process.stop() == 0
