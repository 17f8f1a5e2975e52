"""Cancel, hand-back, errors by class, and fairness."""

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
from tests.integration.exporter.conftest import Exports
from tests.integration.exporter.gates import ROWS, GatedHistory
from tests.integration.exporter.proof import prove, told
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
async def history(exports: Exports) -> GatedHistory:
    await exports.certificate_admitted()
    return await GatedHistory.create(exports.system.databases)


@pytest.fixture
async def exporter(exports: Exports, history: GatedHistory) -> AsyncIterator[Service]:
    service = exports.exporter("exporter", SOURCE=history.reader, SLICE_ROWS="1000")
    yield service
    service.process.stop()


def small(exports: Exports) -> events.SlotTriggered:
    """Return a trigger of a run that selects nothing."""
    window = events.Timeframe(kind="last", count=1, unit="hours")
    return replace(trigger := exports.trigger(timeframe=window), slot=trigger.slot.replace(year=2020))


async def test_R6_a_cancel_takes_effect_removes_files_and_frees_the_source(
    exports: Exports, history: GatedHistory, exporter: Service
) -> None:
    trigger = exports.trigger(split_size=MIB)
    connection = await asyncpg.connect(history.admin)
    await exporter.ready()
    async with told(exports, trigger.run_id) as story, history.closed_at("interaction", ROWS // 2) as gate:
        await exports.admit(trigger)
        await gate.reached()
        await eventually(lambda: exports.objects(trigger.run_id))
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

        async def idle() -> bool:
            return int(await connection.fetchval(_BACKENDS)) == 0

        # All this while the gate is still closed, so the backend is freed in the middle of its query.
        await eventually(idle)
        await eventually(lambda: not exports.objects(trigger.run_id))
        assert await gate.is_closed()
    await connection.close()
    end = found.told[-1]
    assert isinstance(end, events.RunCancelled)
    assert (end.reason, end.requested_by) == ("requested", USER)
    assert await exporter.metric("sluice_runs_ended_total", reason="requested", state="cancelled") == 1


async def test_R2_the_first_word_of_progress_comes_before_the_first_record(
    exports: Exports, history: GatedHistory, exporter: Service
) -> None:
    trigger = exports.trigger()
    await exporter.ready()
    async with (
        told(exports, trigger.run_id) as story,
        Listener(exports.system.kafka, "sluice.progress") as progress,
        history.closed_at("interaction", 1) as gate,
    ):
        await exports.admit(trigger)
        await gate.reached()
        first = await progress.find(lambda event: getattr(event, "run_id", None) == trigger.run_id)
        assert await gate.is_closed(), "no record has been read"
        assert isinstance(first, events.RunProgressed)
        assert (first.seq, first.units_done) == (1, 0)
        sized = await progress.find(lambda event: isinstance(event, events.RunProgressed) and bool(event.units_total))
        assert isinstance(sized, events.RunProgressed)
        assert sized.units_done == 0, "how much there is to do is told before anything is done"

        async def is_silent() -> bool:
            return await exporter.metric("sluice_run_silent_seconds") > 2

        await eventually(is_silent)
        await gate.open()
        phases: list[str] = []
        while not phases or phases[-1] != "store":
            event = await progress.find(lambda event: getattr(event, "run_id", None) == trigger.run_id)
            assert isinstance(event, events.RunProgressed)
            phases.append(event.phase)
        assert [phase for phase in phases if phase not in {"count", "export"}] == ["package", "store"]
        await prove(exports, history, await story())

    async def is_at_rest() -> bool:
        return await exporter.metric("sluice_run_silent_seconds") == 0

    await eventually(is_at_rest)
    assert await exporter.metric("sluice_first_progress_seconds_count") == 1


async def test_R7_SIGTERM_hands_a_split_run_back_at_the_next_part(exports: Exports, history: GatedHistory) -> None:
    leaver = exports.exporter("leaver", SOURCE=history.reader, SLICE_ROWS="100000", DRAIN="PT1M")
    trigger = exports.trigger(split_size=MIB)
    async with told(exports, trigger.run_id) as story:
        async with history.closed_at("interaction", ROWS // 2) as gate:
            await exports.admit(trigger)
            await gate.reached()
            await exports.finished(trigger.run_id, 4)
            leaver.process.request_stop()
            await eventually(lambda: stopping(leaver))
            await gate.open()
            await eventually(lambda: leaver.process.exit_code() is not None)
            assert leaver.process.exit_code() == 0
            rows = await exports.system.fetch(
                "exporter", "SELECT state, attempt FROM run WHERE run_id = $1", trigger.run_id
            )
            kept = await exports.system.fetch("exporter", "SELECT object FROM part WHERE run_id = $1", trigger.run_id)
            assert [(row["state"], row["attempt"]) for row in rows] == [("queued", 0)]
            assert 4 <= len(kept) < 9
        heir = exports.exporter("heir", SOURCE=history.reader)
        found = await story()
    await prove(exports, history, found)
    assert [type(event).__name__ for event in found.told].count("RunHandedBack") == 1
    assert {row["object"] for row in kept} <= {file.object for file in found.succeeded.files}
    assert heir.process.stop() == 0


async def stopping(service: Service) -> bool:
    """Return whether a process says that it is stopping."""
    async with httpx.AsyncClient() as client:
        return "stopping" in (await client.get(f"{service.url}/readyz")).text


@pytest.mark.parametrize("fault", ["login", "views"])
async def test_R5_a_permanent_error_fails_at_once_in_words(exports: Exports, history: GatedHistory, fault: str) -> None:
    if fault == "login":
        source, code, words = (
            history.reader.replace("reader-password", "wrong"),
            "source-access-refused",
            "refuses access",
        )
    else:
        source, code, words = await exports.system.databases.fresh(), "source-bad-mapping", "lacks a view"
    exporter = exports.exporter("exporter", SOURCE=source)
    trigger = exports.trigger()
    async with told(exports, trigger.run_id) as story:
        await exports.admit(trigger)
        found = await story()
    failed = found.told[-1]
    assert isinstance(failed, events.RunFailed)
    assert (failed.code, failed.attempt) == (code, 1)
    assert words in failed.message
    assert "wrong-p" not in exporter.log()
    assert exports.objects(trigger.run_id) == []
    exporter.process.stop()


async def test_R4_a_huge_run_does_not_hold_up_small_ones(exports: Exports, history: GatedHistory) -> None:
    first = exports.exporter("first", SOURCE=history.reader, SLICE_ROWS="1000")
    huge = exports.trigger(split_size=MIB)
    async with told(exports, huge.run_id) as story:
        async with history.closed_at("interaction", 700) as gate:
            await exports.admit(huge)
            await gate.reached()
            second = exports.exporter("second", SOURCE=history.reader, SLICE_ROWS="1000")
            helped = "SELECT true FROM slice WHERE run_id = $1 AND exporter = 'second'"
            await eventually(lambda: exports.system.fetch("exporter", helped, huge.run_id))
            triggers = [small(exports) for _ in range(SMALL_RUNS)]
            await exports.admit(*triggers)
            for trigger in triggers:
                assert await exports.ended(trigger.run_id) == "succeeded"
            assert await exports.state(huge.run_id) == "running"
        found = await story()
    await prove(exports, history, found)
    told_first = await second.metric("sluice_first_progress_seconds_count")
    assert told_first >= SMALL_RUNS
    assert await second.metric("sluice_first_progress_seconds_sum") / told_first < 1.5
    for each in (first, second):
        assert each.process.stop() == 0


async def test_R4_a_tenant_s_limit_holds_while_others_go_on(exports: Exports, history: GatedHistory) -> None:
    other: UUID = uuid4()
    await exports.certificate_admitted(other)
    triggers = [*(exports.trigger() for _ in range(3)), exports.trigger(tenant=other)]
    async with Listener(exports.system.kafka, "sluice.runs") as runs:
        async with history.closed_at("interaction", 10) as gate:
            await exports.admit(*triggers)
            exporter = exports.exporter("limited", SOURCE=history.reader, SLOTS="4", TENANT_LIMIT="1")
            running = "SELECT tenant_id FROM run WHERE state = 'running' ORDER BY tenant_id"
            await eventually(lambda: exports.state(triggers[-1].run_id))

            async def both() -> bool:
                found = [row["tenant_id"] for row in await exports.system.fetch("exporter", running)]
                assert len(found) <= 2
                return found == sorted([exports.tenant, other])

            await eventually(both)
            await gate.reached()
            await gate.open()
        started: dict[UUID, datetime] = {}
        ended: dict[UUID, datetime] = {}
        while len(ended) < len(triggers):
            event = await runs.find(lambda event: isinstance(event, events.RunStarted | events.RunSucceeded))
            assert isinstance(event, events.RunEvent)
            (ended if isinstance(event, events.RunSucceeded) else started)[event.run_id] = event.at
    mine = sorted((started[each.run_id], ended[each.run_id]) for each in triggers[:3])
    assert all(one[1] < other[0] for one, other in pairwise(mine)), "one run of the tenant at a time"
    assert exporter.process.stop() == 0
