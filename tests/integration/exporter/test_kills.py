"""kill -9 and SIGSTOP in every phase of a run: one end, the right files, nothing finished done again.

The lease is 3 s here, a fifth of what it is in production; the last test has the production's own.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import pytest

from shared import events
from tests.integration.exporter.conftest import Exports
from tests.integration.exporter.gates import ROWS, Gate, GatedHistory, step_closed
from tests.integration.exporter.proof import prove, told
from tests.support.system import Service
from tests.support.wait import eventually

MIB = 1024 * 1024
Closed = Callable[[Exports, GatedHistory], AbstractAsyncContextManager[Gate]]


@pytest.fixture(scope="module")
async def history(exports: Exports) -> GatedHistory:
    await exports.certificate_admitted()
    return await GatedHistory.create(exports.system.databases)


def step(table: str, event: str, condition: str) -> Closed:
    return lambda exports, _: step_closed(
        exports.system.databases.dsn(exports.system.database), table, event, condition
    )


def row(kind: str, number: int) -> Closed:
    return lambda _, history: history.closed_at(kind, number)


# Where the exporter stands when it is killed, and how many parts are finished then: about ten of 650 interactions, one
# of attachments.
PHASES: dict[str, tuple[Closed, int]] = {
    "count": (lambda _, history: history.locked(), 0),
    "first-part": (row("interaction", 600), 0),
    "middle": (row("interaction", ROWS // 2), 4),
    "attachments": (row("attachment", 300), 9),
    "packaging": (step("part", "INSERT", "NEW.number = 2"), 1),
    "manifest": (step("slice", "UPDATE OF state", "NEW.state = 'done' AND NEW.kind = 'interaction-attachment'"), 11),
    "commit": (step("run", "UPDATE OF state", "NEW.state = 'succeeded'"), 11),
}


@dataclass
class Line:
    """Exporters one after another: the heir of one that was killed is the next to be killed."""

    exports: Exports
    history: GatedHistory
    present: Service | None = None

    def exporter(self, name: str = "heir", **settings: str) -> Service:
        """Return the present exporter, or start one that does not share runs."""
        if self.present is None:
            settings = {"SOURCE": self.history.reader, "SLICE_ROWS": "100000", **settings}
            self.present = self.exports.exporter(name, **settings)
        return self.present

    async def killed_at(self, trigger: events.SlotTriggered, gate: Gate, parts: int) -> set[str]:
        """Have the present exporter take a run up to the gate, kill it there, and return the finished parts."""
        victim = self.exporter()
        await self.exports.admit(trigger)
        await gate.reached()
        found = await self.exports.finished(trigger.run_id, parts)
        self.present = None
        self.exporter()
        victim.process.kill()
        return found

    def stop(self) -> None:
        """Stop the present exporter, if there is one."""
        if self.present is not None:
            self.present.process.stop()
            self.present = None


@pytest.fixture(scope="module")
async def line(exports: Exports, history: GatedHistory) -> AsyncIterator[Line]:
    line = Line(exports, history)
    yield line
    line.stop()


@pytest.mark.parametrize("phase", PHASES)
async def test_R2_R3_kill_9_in_every_phase_of_a_split_run(
    exports: Exports, history: GatedHistory, line: Line, phase: str
) -> None:
    closed, parts = PHASES[phase]
    trigger = exports.trigger(split_size=MIB)
    async with told(exports, trigger.run_id) as story:
        async with closed(exports, history) as gate:
            before = await line.killed_at(trigger, gate, parts)
            killed = time.monotonic()
        found = await story()
    assert time.monotonic() - killed < 30
    manifest = await prove(exports, history, found)
    assert before <= {file.object for file in found.succeeded.files}, "what was finished stays (R3)"
    assert len(found.of(events.RunStarted)) == 2
    if phase in {"middle", "attachments", "packaging"}:
        assert len(manifest["snapshots"]) == 2, "the manifest says that another snapshot was read"


async def test_R2_an_unsplit_run_is_redone_by_whole_kinds(exports: Exports, history: GatedHistory, line: Line) -> None:
    trigger = exports.trigger()
    async with told(exports, trigger.run_id) as story:
        async with history.closed_at("attachment", 300) as gate:
            before = await line.killed_at(trigger, gate, 1)
        found = await story()
    await prove(exports, history, found)
    assert len(before) == 1
    assert before <= {file.object for file in found.succeeded.files}


@pytest.mark.parametrize("phase", ["middle", "packaging"])
async def test_R2_a_zombie_publishes_nothing_and_its_objects_are_swept(
    exports: Exports, history: GatedHistory, line: Line, phase: str
) -> None:
    closed, _ = PHASES[phase]
    trigger = exports.trigger(split_size=MIB)
    zombie = line.exporter()
    line.present = None
    async with told(exports, trigger.run_id) as story:
        async with closed(exports, history) as gate:
            await exports.admit(trigger)
            await gate.reached()
            zombie.process.pause(paused=True)
        # Its worker is not stopped and goes on writing: parts that nobody will note. In the second case the exporter
        # stands within a transaction, which holds the run's row.
        heir = line.exporter()
        found = await story()
        zombie.process.pause(paused=False)
        await eventually(lambda: "lease lost" in zombie.log())

    await prove(exports, history, found)
    assert {event.exporter for event in found.told if isinstance(event, events.RunStarted)} == {"heir"}
    assert zombie.process.stop() == 0
    assert await heir.metric("sluice_lease_takeovers_total", what="run") == 1


async def test_R4_a_helper_dies_and_its_slice_is_gone_on_with(
    exports: Exports, history: GatedHistory, line: Line
) -> None:
    line.stop()
    settings = {"SOURCE": history.reader, "SLICE_ROWS": "1000"}
    first = exports.exporter("coordinator", **settings)
    trigger = exports.trigger(split_size=MIB)
    async with told(exports, trigger.run_id) as story:
        async with history.closed_at("interaction", ROWS) as gate:
            await exports.admit(trigger)
            await gate.reached()
            second = exports.exporter("helper", **settings)
            # The coordinator stands at the last row; a helper takes what it left, the attachments.
            await eventually(
                lambda: exports.system.fetch(
                    "exporter", "SELECT true FROM slice WHERE run_id = $1 AND exporter = 'helper'", trigger.run_id
                )
            )
            second.process.kill()
        found = await story()
    await prove(exports, history, found)
    assert len(found.of(events.RunStarted)) == 1
    assert await first.metric("sluice_lease_takeovers_total", what="slice") == 1
    assert await first.metric("sluice_lease_takeovers_total", what="run") == 0
    assert first.process.stop() == 0


async def test_R2_R3_the_coordinator_dies_and_a_helper_takes_the_run_over(
    exports: Exports, history: GatedHistory, line: Line
) -> None:
    line.stop()
    settings = {"SOURCE": history.reader, "SLICE_ROWS": "1000"}
    first = exports.exporter("coordinator", **settings)
    trigger = exports.trigger(split_size=MIB)
    async with told(exports, trigger.run_id) as story:
        async with history.closed_at("interaction", 700) as gate:
            await exports.admit(trigger)
            await gate.reached()
            second = exports.exporter("helper", **settings)
            done = "SELECT count(*) >= 2 FROM slice WHERE run_id = $1 AND exporter = 'helper' AND state = 'done'"

            async def helped() -> bool:
                return bool((await exports.system.fetch("exporter", done, trigger.run_id))[0][0])

            await eventually(helped)
            first.process.kill()
            before = await exports.finished(trigger.run_id, 2)
        found = await story()
    manifest = await prove(exports, history, found)
    assert len(before) >= 2
    assert before <= {file.object for file in found.succeeded.files}
    assert len(manifest["snapshots"]) == 2
    assert [event.exporter for event in found.told if isinstance(event, events.RunStarted)] == ["coordinator", "helper"]
    assert second.process.stop() == 0


async def test_R2_takeover_within_30_s_under_the_lease_of_production(
    exports: Exports, history: GatedHistory, line: Line
) -> None:
    line.stop()
    trigger = exports.trigger(split_size=MIB)
    async with told(exports, trigger.run_id) as story:
        async with history.closed_at("interaction", ROWS // 2) as gate:
            line.exporter("victim", LEASE="PT15S")
            await line.killed_at(trigger, gate, 4)
            killed = time.monotonic()
        found = await story()
    assert time.monotonic() - killed < 30
    await prove(exports, history, found)
