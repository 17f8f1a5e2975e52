"""kill -9 and SIGSTOP in every phase of a run: one terminal state, the right files, no finished part exported again.

The lease is 3 s, a fifth of that in production; the last test uses the lease of production.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import pytest

from shared import events
from tests.integration.exporter.conftest import ExportSystem
from tests.integration.exporter.gates import ROWS, Gate, GatedHistory, close_gate_on_step
from tests.integration.exporter.proof import check_run, follow_run
from tests.support.system import Service
from tests.support.wait import eventually

MIB = 1024 * 1024
CloseGate = Callable[[ExportSystem, GatedHistory], AbstractAsyncContextManager[Gate]]


@pytest.fixture(scope="module")
async def history(exports: ExportSystem) -> GatedHistory:
    await exports.insert_certificate()
    return await GatedHistory.create(exports.system.databases)


def close_on_step(table: str, event: str, condition: str) -> CloseGate:
    return lambda exports, _: close_gate_on_step(
        exports.system.databases.dsn(exports.system.database), table, event, condition
    )


def close_at_row(kind: str, number: int) -> CloseGate:
    return lambda _, history: history.close_gate_at(kind, number)


# Where the exporter is killed, and how many parts are finished then: about ten of 650 interactions, one of attachments.
PHASES: dict[str, tuple[CloseGate, int]] = {
    "count": (lambda _, history: history.lock_interactions(), 0),
    "first-part": (close_at_row("interaction", 600), 0),
    "middle": (close_at_row("interaction", ROWS // 2), 4),
    "attachments": (close_at_row("attachment", 300), 9),
    "packaging": (close_on_step("part", "INSERT", "NEW.number = 2"), 1),
    "manifest": (
        close_on_step("slice", "UPDATE OF state", "NEW.state = 'done' AND NEW.kind = 'interaction-attachment'"),
        11,
    ),
    "commit": (close_on_step("run", "UPDATE OF state", "NEW.state = 'succeeded'"), 11),
}


@dataclass
class ExporterChain:
    """Exporters one after another: the successor of one that was killed is the next to be killed."""

    exports: ExportSystem
    history: GatedHistory
    current: Service | None = None

    def get_exporter(self, name: str = "successor", **settings: str) -> Service:
        """Return the current exporter, or start one that does not share runs."""
        if self.current is None:
            settings = {"SOURCE": self.history.reader, "SLICE_ROWS": "100000", **settings}
            self.current = self.exports.start_exporter(name, **settings)
        return self.current

    async def kill_at(self, trigger: events.SlotTriggered, gate: Gate, parts: int) -> set[str]:
        """Have the current exporter carry a run to the gate, kill it there, and return the finished parts."""
        victim = self.get_exporter()
        await self.exports.admit(trigger)
        await gate.wait_until_reached()
        found = await self.exports.wait_for_parts(trigger.run_id, parts)
        self.current = None
        self.get_exporter()
        victim.process.kill()
        return found

    def stop(self) -> None:
        """Stop the current exporter, if there is one."""
        if self.current is not None:
            self.current.process.stop()
            self.current = None


@pytest.fixture(scope="module")
async def chain(exports: ExportSystem, history: GatedHistory) -> AsyncIterator[ExporterChain]:
    chain = ExporterChain(exports, history)
    yield chain
    chain.stop()


@pytest.mark.parametrize("phase", PHASES)
async def test_R2_R3_kill_9_in_every_phase_of_a_split_run(
    exports: ExportSystem, history: GatedHistory, chain: ExporterChain, phase: str
) -> None:
    close_gate, parts = PHASES[phase]
    trigger = exports.make_trigger(split_size=MIB)
    async with follow_run(exports, trigger.run_id) as story:
        async with close_gate(exports, history) as gate:
            before = await chain.kill_at(trigger, gate, parts)
            killed = time.monotonic()
        found = await story()
    assert time.monotonic() - killed < 30
    manifest = await check_run(exports, history, found)
    assert before <= {file.object for file in found.succeeded.files}, "finished parts stay (R3)"
    assert len(found.of_type(events.RunStarted)) == 2
    if phase in {"middle", "attachments", "packaging"}:
        assert len(manifest["snapshots"]) == 2, "the manifest names both snapshots"


async def test_R2_an_unsplit_run_is_redone_kind_by_kind(
    exports: ExportSystem, history: GatedHistory, chain: ExporterChain
) -> None:
    trigger = exports.make_trigger()
    async with follow_run(exports, trigger.run_id) as story:
        async with history.close_gate_at("attachment", 300) as gate:
            before = await chain.kill_at(trigger, gate, 1)
        found = await story()
    await check_run(exports, history, found)
    assert len(before) == 1
    assert before <= {file.object for file in found.succeeded.files}


@pytest.mark.parametrize("phase", ["middle", "packaging"])
async def test_R2_a_stalled_exporter_publishes_nothing_and_its_objects_are_swept(
    exports: ExportSystem, history: GatedHistory, chain: ExporterChain, phase: str
) -> None:
    close_gate, _ = PHASES[phase]
    trigger = exports.make_trigger(split_size=MIB)
    stalled = chain.get_exporter()
    chain.current = None
    async with follow_run(exports, trigger.run_id) as story:
        async with close_gate(exports, history) as gate:
            await exports.admit(trigger)
            await gate.wait_until_reached()
            stalled.process.pause(paused=True)
        # Its worker is not stopped and continues to write parts, which will not be saved. In the second case the
        # exporter is inside a transaction, which keeps the run's row locked.
        successor = chain.get_exporter()
        found = await story()
        stalled.process.pause(paused=False)
        await eventually(lambda: "lease lost" in stalled.log())

    await check_run(exports, history, found)
    assert {event.exporter for event in found.received if isinstance(event, events.RunStarted)} == {"successor"}
    assert stalled.process.stop() == 0
    assert await successor.metric("sluice_lease_takeovers_total", what="run") == 1


async def test_R4_a_killed_helper_s_slice_is_continued(
    exports: ExportSystem, history: GatedHistory, chain: ExporterChain
) -> None:
    chain.stop()
    settings = {"SOURCE": history.reader, "SLICE_ROWS": "1000"}
    first = exports.start_exporter("coordinator", **settings)
    trigger = exports.make_trigger(split_size=MIB)
    async with follow_run(exports, trigger.run_id) as story:
        async with history.close_gate_at("interaction", ROWS) as gate:
            await exports.admit(trigger)
            await gate.wait_until_reached()
            second = exports.start_exporter("helper", **settings)
            # The coordinator is at the last row; a helper claims the remaining slice, the attachments.
            await eventually(
                lambda: exports.system.fetch(
                    "exporter", "SELECT true FROM slice WHERE run_id = $1 AND exporter = 'helper'", trigger.run_id
                )
            )
            second.process.kill()
        found = await story()
    await check_run(exports, history, found)
    assert len(found.of_type(events.RunStarted)) == 1
    assert await first.metric("sluice_lease_takeovers_total", what="slice") == 1
    assert await first.metric("sluice_lease_takeovers_total", what="run") == 0
    assert first.process.stop() == 0


async def test_R2_R3_a_helper_takes_over_a_killed_coordinator_s_run(
    exports: ExportSystem, history: GatedHistory, chain: ExporterChain
) -> None:
    chain.stop()
    settings = {"SOURCE": history.reader, "SLICE_ROWS": "1000"}
    first = exports.start_exporter("coordinator", **settings)
    trigger = exports.make_trigger(split_size=MIB)
    async with follow_run(exports, trigger.run_id) as story:
        async with history.close_gate_at("interaction", 700) as gate:
            await exports.admit(trigger)
            await gate.wait_until_reached()
            second = exports.start_exporter("helper", **settings)
            done = "SELECT count(*) >= 2 FROM slice WHERE run_id = $1 AND exporter = 'helper' AND state = 'done'"

            async def has_helped() -> bool:
                return bool((await exports.system.fetch("exporter", done, trigger.run_id))[0][0])

            await eventually(has_helped)
            first.process.kill()
            before = await exports.wait_for_parts(trigger.run_id, 2)
        found = await story()
    manifest = await check_run(exports, history, found)
    assert len(before) >= 2
    assert before <= {file.object for file in found.succeeded.files}
    assert len(manifest["snapshots"]) == 2
    assert [event.exporter for event in found.received if isinstance(event, events.RunStarted)] == [
        "coordinator",
        "helper",
    ]
    assert second.process.stop() == 0


async def test_R2_takeover_within_30_s_with_the_lease_of_production(
    exports: ExportSystem, history: GatedHistory, chain: ExporterChain
) -> None:
    chain.stop()
    trigger = exports.make_trigger(split_size=MIB)
    async with follow_run(exports, trigger.run_id) as story:
        async with history.close_gate_at("interaction", ROWS // 2) as gate:
            chain.get_exporter("victim", LEASE="PT15S")
            await chain.kill_at(trigger, gate, 4)
            killed = time.monotonic()
        found = await story()
    assert time.monotonic() - killed < 30
    await check_run(exports, history, found)
