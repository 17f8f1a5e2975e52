"""History under faults: processes killed, frozen, joining and leaving, and a broker that crashes in mid-stream."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from deploy.local.kafka import Kafka
from deploy.local.reaper import Reaper
from history.estimating.estimator import ProgressSample, estimate
from shared import events
from shared.clock import SystemClock
from tests.support.listener import Listener
from tests.support.servers import Databases
from tests.support.system import Service, System
from tests.support.wait import eventually
from tests.unit.history.scenarios import RunScenario
from tests.unit.history.test_projections import log_of


@dataclass
class FaultBench:
    """A system in which no process runs yet, its broker, and the object store's folder."""

    system: System
    kafka: Kafka
    store: Path

    def start(self, command: str) -> Service:
        return self.system.start("history", command, {"STORE": self.store.as_uri()})


@pytest.fixture
async def bench(
    reaper: Reaper, servers_folder: Path, postgres: Databases, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[FaultBench]:
    kafka = Kafka(servers_folder / f"kafka-{request.node.name[:40]}", reaper)
    system = await System.prepare(tmp_path, kafka.start(), postgres, reaper)
    yield FaultBench(system, kafka, tmp_path)
    system.stop()
    kafka.stop()


def create_scenarios(count: int = 60) -> list[RunScenario]:
    """Return runs of every kind, with as many events as a busy minute has."""
    scenarios = []
    for number in range(count):
        scenario = RunScenario().triggered().queued().started().progressed(10).part(1).started().progressed(20).part(2)
        getattr(scenario, ("succeeded", "failed", "cancelled", "handed_back")[number % 4])()
        scenarios.append(scenario)
    return scenarios


async def publish_in_steps(system: System, scenarios: list[RunScenario]) -> None:
    """Publish the first events of all runs, then the second ones, and so on."""
    longest = max(len(scenario.everything) for scenario in scenarios)
    for step in range(longest):
        await system.publish(*(scenario.everything[step] for scenario in scenarios if step < len(scenario.everything)))


async def is_recorded(system: System, scenarios: list[RunScenario]) -> bool:
    """Return whether the log has exactly what the events of these runs say."""
    query = """
        SELECT run_id, state, (SELECT count(*) FROM run_event WHERE run_event.run_id = run.run_id) AS entries,
            (SELECT count(*) FROM part WHERE part.run_id = run.run_id) AS parts,
            (SELECT count(*) FROM artifact WHERE artifact.run_id = run.run_id) AS files, life_token, life_seq
        FROM run
    """
    found = {row["run_id"]: tuple(row)[1:] for row in await system.fetch("history", query)}
    expected = {}
    for scenario in scenarios:
        run, entries, parts, files = log_of(scenario.everything)
        assert run is not None
        assert run.lifecycle is not None
        counts = (len(entries), len(parts), len(files))
        expected[scenario.run_id] = (run.state, *counts, run.lifecycle.token, run.lifecycle.seq)
    wrong = [run_id for run_id in expected if found.get(run_id) != expected[run_id]]
    assert not wrong, f"{len(wrong)} of {len(expected)} runs are not recorded yet"
    return len(found) == len(expected)


async def test_H8_R2_no_event_is_lost_or_counted_twice_when_recorders_are_killed_frozen_join_and_leave(
    bench: FaultBench,
) -> None:
    system, scenarios = bench.system, [create_scenarios() for _ in range(5)]
    first = bench.start("recorder")
    await first.wait_ready()
    publishing = asyncio.create_task(publish_in_steps(system, scenarios[0]))
    await eventually(lambda: has_any_run(system))
    first.process.kill()
    second = bench.start("recorder")
    await publishing
    await second.wait_ready()
    await eventually(lambda: is_recorded(system, scenarios[0]))

    publishing = asyncio.create_task(publish_in_steps(system, scenarios[1]))
    second.process.pause(paused=True)
    third = bench.start("recorder")
    await publishing
    await eventually(lambda: is_recorded(system, scenarios[0] + scenarios[1]))
    second.process.pause(paused=False)

    publishing = asyncio.create_task(publish_in_steps(system, scenarios[2]))
    fourth = bench.start("recorder")
    await fourth.wait_ready()
    assert third.process.stop() == 0
    await publishing
    await eventually(lambda: is_recorded(system, scenarios[0] + scenarios[1] + scenarios[2]))

    publishing = asyncio.create_task(publish_in_steps(system, scenarios[3]))
    await publishing
    bench.kafka.kill()
    bench.kafka.start()
    await eventually(lambda: try_to_publish(system, scenarios[4]), timeout=120)
    await eventually(lambda: is_recorded(system, [scenario for each in scenarios for scenario in each]), timeout=120)

    async def no_lag() -> bool:
        lags = [
            await each.metric("sluice_consumer_lag_messages", group="sluice.history.recorder")
            for each in (second, fourth)
        ]
        return sum(lags) == 0

    await eventually(no_lag)


async def has_any_run(system: System) -> bool:
    return bool(await system.fetch("history", "SELECT FROM run LIMIT 1"))


async def try_to_publish(system: System, scenarios: list[RunScenario]) -> bool:
    await publish_in_steps(system, scenarios)
    return True


def create_running(count: int) -> RunScenario:
    """Return a run that started `count` seconds ago and has progressed evenly until now."""
    scenario = RunScenario(at=SystemClock().now() - timedelta(seconds=count + 3)).triggered().queued().started()
    for number in range(1, count + 1):
        scenario.progressed(number, total=2 * count)
    return scenario


async def test_H3_estimates_continue_from_the_stored_state_after_a_kill_and_a_freeze(bench: FaultBench) -> None:
    system, scenario = bench.system, create_running(300)
    recorder, first = bench.start("recorder"), bench.start("estimates")
    await recorder.wait_ready()
    await first.wait_ready()
    await system.publish(*scenario.everything)

    async def is_stored() -> bool:
        query = "SELECT FROM estimate_state WHERE run_id = $1 AND seq = $2"
        return bool(await system.fetch("history", query, scenario.run_id, len(scenario.progress)))

    await eventually(is_stored)
    first.process.kill()
    second = bench.start("estimates")
    await second.wait_ready()
    await check_next_estimate(system, scenario)
    await eventually(is_stored)
    second.process.pause(paused=True)
    third = bench.start("estimates")
    await third.wait_ready()
    await check_next_estimate(system, scenario)
    second.process.pause(paused=False)
    await eventually(lambda: has_recovered(second))


async def check_next_estimate(system: System, scenario: RunScenario) -> None:
    """Publish one more sample; expect an estimate within 30 s that differs from a fresh replay by 5 % at most."""
    more = replace(scenario, progress=list(scenario.progress)).progressed(len(scenario.progress) + 1, total=600)
    async with Listener(system.kafka, "sluice.estimates") as estimates:
        published_at = SystemClock().now()
        await system.publish(more.progress[-1])
        estimated = await estimates.find(lambda event: getattr(event, "progress", 0) == len(more.progress) / 600)
    scenario.progress.append(more.progress[-1])
    assert isinstance(estimated, events.RunEstimated)
    assert estimated.at - published_at < timedelta(seconds=30)
    assert estimated.eta_seconds is not None
    replayed, _, _ = estimate([], [to_sample(event) for event in scenario.progress], estimated.at.timestamp())
    assert replayed is not None
    assert abs(estimated.eta_seconds - replayed) < 0.05 * 600


def to_sample(event: events.Event) -> ProgressSample:
    assert isinstance(event, events.RunProgressed)
    done, total = float(event.units_done), float(event.units_total or 0)
    return ProgressSample(run_id="r", ts=event.at.timestamp(), units_done=done, units_total=total, bytes=0)


async def has_recovered(service: Service) -> bool:
    """Return whether a process that was frozen is ready again, or has ended for its supervisor to restart it."""
    if service.process.exit_code() is not None:
        return True
    await service.wait_ready()
    return True


async def test_H3_the_watchdog_ends_a_stalled_estimates_process(bench: FaultBench) -> None:
    estimates = bench.system.start("history", "estimates", {"STORE": bench.store.as_uri(), "STALLED_AFTER": "PT5S"})
    await estimates.wait_ready()
    connection = await asyncpg.connect(bench.system.dsn("history"))
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE estimate_state IN ACCESS EXCLUSIVE MODE")
            await bench.system.publish(*create_running(5).succeeded().everything)
            code = await eventually(lambda: estimates.process.exit_code() or 0)
    finally:
        await connection.close()
    assert code == 1
    assert "messages wait and none was handled" in estimates.log()
