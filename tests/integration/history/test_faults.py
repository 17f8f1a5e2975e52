"""History under faults: processes killed, frozen, joining and leaving, a broker that crashes in mid-stream."""

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
class Stage:
    """A system without processes, its broker, and what was published so far."""

    system: System
    kafka: Kafka
    store: Path

    def start(self, command: str) -> Service:
        return self.system.start("history", command, {"STORE": self.store.as_uri()})


@pytest.fixture
async def stage(
    reaper: Reaper, servers_folder: Path, postgres: Databases, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Stage]:
    kafka = Kafka(servers_folder / f"kafka-{request.node.name[:40]}", reaper)
    system = await System.prepare(tmp_path, kafka.start(), postgres, reaper, services=("history",))
    yield Stage(system, kafka, tmp_path)
    system.stop()
    kafka.stop()


def chunk(count: int = 60) -> list[RunScenario]:
    """Return runs of every kind, as many events as a busy minute has."""
    stories = []
    for number in range(count):
        story = RunScenario().triggered().queued().started().progressed(10).part(1).started().progressed(20).part(2)
        getattr(story, ("succeeded", "failed", "cancelled", "handed_back")[number % 4])()
        stories.append(story)
    return stories


async def told(system: System, stories: list[RunScenario]) -> None:
    """Publish the stories' events step by step: all first ones, all second ones."""
    longest = max(len(story.everything) for story in stories)
    for step in range(longest):
        await system.publish(*(story.everything[step] for story in stories if step < len(story.everything)))


async def recorded(system: System, stories: list[RunScenario]) -> bool:
    """Return whether the log says of each story what its events do, no more and no less."""
    query = """
        SELECT run_id, state, (SELECT count(*) FROM run_event WHERE run_event.run_id = run.run_id) AS entries,
            (SELECT count(*) FROM part WHERE part.run_id = run.run_id) AS parts,
            (SELECT count(*) FROM artifact WHERE artifact.run_id = run.run_id) AS files, life_token, life_seq
        FROM run
    """
    found = {row["run_id"]: tuple(row)[1:] for row in await system.fetch("history", query)}
    expected = {}
    for story in stories:
        run, entries, parts, files = log_of(story.everything)
        assert run is not None
        assert run.lifecycle is not None
        counts = (len(entries), len(parts), len(files))
        expected[story.run_id] = (run.state, *counts, run.lifecycle.token, run.lifecycle.seq)
    wrong = [run_id for run_id in expected if found.get(run_id) != expected[run_id]]
    assert not wrong, f"{len(wrong)} of {len(expected)} runs are not recorded yet"
    return len(found) == len(expected)


async def test_H8_R2_no_event_is_lost_or_counted_twice_when_recorders_are_killed_frozen_join_and_leave(
    stage: Stage,
) -> None:
    system, stories = stage.system, [chunk() for _ in range(5)]
    first = stage.start("recorder")
    await first.ready()
    telling = asyncio.create_task(told(system, stories[0]))
    await eventually(lambda: any_run(system))
    first.process.kill()
    second = stage.start("recorder")
    await telling
    await second.ready()
    await eventually(lambda: recorded(system, stories[0]))

    telling = asyncio.create_task(told(system, stories[1]))
    second.process.pause(paused=True)
    third = stage.start("recorder")
    await telling
    await eventually(lambda: recorded(system, stories[0] + stories[1]))
    second.process.pause(paused=False)

    telling = asyncio.create_task(told(system, stories[2]))
    fourth = stage.start("recorder")
    await fourth.ready()
    assert third.process.stop() == 0
    await telling
    await eventually(lambda: recorded(system, stories[0] + stories[1] + stories[2]))

    telling = asyncio.create_task(told(system, stories[3]))
    await telling
    stage.kafka.kill()
    stage.kafka.start()
    await eventually(lambda: published(system, stories[4]), timeout=120)
    await eventually(lambda: recorded(system, [story for each in stories for story in each]), timeout=120)

    async def no_lag() -> bool:
        lags = [
            await each.metric("sluice_consumer_lag_messages", group="sluice.history.recorder")
            for each in (second, fourth)
        ]
        return sum(lags) == 0

    await eventually(no_lag)


async def any_run(system: System) -> bool:
    return bool(await system.fetch("history", "SELECT FROM run LIMIT 1"))


async def published(system: System, stories: list[RunScenario]) -> bool:
    await told(system, stories)
    return True


def under_way(count: int) -> RunScenario:
    """Return a run that began some minutes ago and has gone on evenly until now."""
    story = RunScenario(at=SystemClock().now() - timedelta(seconds=count + 3)).triggered().queued().started()
    for number in range(1, count + 1):
        story.progressed(number, total=2 * count)
    return story


async def test_H3_estimates_go_on_from_the_stored_state_after_a_kill_and_a_freeze(stage: Stage) -> None:
    system, story = stage.system, under_way(300)
    recorder, first = stage.start("recorder"), stage.start("estimates")
    await recorder.ready()
    await first.ready()
    await system.publish(*story.everything)

    async def stored() -> bool:
        query = "SELECT FROM estimate_state WHERE run_id = $1 AND seq = $2"
        return bool(await system.fetch("history", query, story.run_id, len(story.progress)))

    await eventually(stored)
    first.process.kill()
    second = stage.start("estimates")
    await second.ready()
    await next_estimate_agrees(system, story)
    await eventually(stored)
    second.process.pause(paused=True)
    third = stage.start("estimates")
    await third.ready()
    await next_estimate_agrees(system, story)
    second.process.pause(paused=False)
    await eventually(lambda: alive_and_well(second))


async def next_estimate_agrees(system: System, story: RunScenario) -> None:
    """Publish one more progress; the next estimate comes within 30 s and is what a fresh replay says, within 5 %."""
    more = replace(story, progress=list(story.progress)).progressed(len(story.progress) + 1, total=600)
    async with Listener(system.kafka, "sluice.estimates") as estimates:
        began = SystemClock().now()
        await system.publish(more.progress[-1])
        told = await estimates.find(lambda event: getattr(event, "progress", 0) == len(more.progress) / 600)
    story.progress.append(more.progress[-1])
    assert isinstance(told, events.RunEstimated)
    assert told.at - began < timedelta(seconds=30)
    assert told.eta_seconds is not None
    replayed, _, _ = estimate([], [seen(event) for event in story.progress], told.at.timestamp())
    assert replayed is not None
    assert abs(told.eta_seconds - replayed) < 0.05 * 600


def seen(event: events.Event) -> ProgressSample:
    assert isinstance(event, events.RunProgressed)
    done, total = float(event.units_done), float(event.units_total or 0)
    return ProgressSample(run_id="r", ts=event.at.timestamp(), units_done=done, units_total=total, bytes=0)


async def alive_and_well(service: Service) -> bool:
    """Return whether a process that was frozen has come back, or has ended for its supervisor to start it again."""
    if service.process.exit_code() is not None:
        return True
    await service.ready()
    return True


async def test_H3_the_watchdog_ends_estimates_that_stand_still(stage: Stage) -> None:
    estimates = stage.system.start("history", "estimates", {"STORE": stage.store.as_uri(), "STALLED_AFTER": "PT5S"})
    await estimates.ready()
    connection = await asyncpg.connect(stage.system.dsn("history"))
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE estimate_state IN ACCESS EXCLUSIVE MODE")
            await stage.system.publish(*under_way(5).succeeded().everything)
            code = await eventually(lambda: estimates.process.exit_code() or 0)
    finally:
        await connection.close()
    assert code == 1
    assert "messages wait and none was handled" in estimates.log()
