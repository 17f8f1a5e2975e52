"""Rules S7, J5 and J10 while jobs change, the clock is stepped, and processes and servers are killed."""

import random
from collections.abc import AsyncIterator
from os import environ
from pathlib import Path
from uuid import UUID

import pytest

from deploy.local.reaper import Reaper
from scheduler.auditor import audit
from scheduler.store_audit import AuditStore
from shared import events
from shared.codec import decode
from shared.postgres import open_pool
from tests.chaos.scheduler.oracle import SlotEvent, judge
from tests.chaos.scheduler.storm import Storm
from tests.support.listener import Listener
from tests.support.servers import Databases, MakeKafka, MakePostgres
from tests.support.system import System
from tests.support.wait import eventually
from tests.unit.scheduler.memory import HOUR

SLOTS = int(environ.get("SLUICE_TEST_STORM_SLOTS", "50000"))
"""The number of slots after which both storms together end."""
SEED = int(environ.get("SLUICE_TEST_STORM_SEED", "5"))
JOBS = 400


@pytest.fixture
async def storm(
    make_kafka: MakeKafka, make_postgres: MakePostgres, reaper: Reaper, tmp_path: Path
) -> AsyncIterator[Storm]:
    kafka, postgres = make_kafka(), make_postgres()
    bootstrap, admin = kafka.start(), postgres.start()
    system = await System.prepare(tmp_path, bootstrap, Databases(admin), reaper)
    # Test servers may lose acknowledged commits when killed, which no ledger survives.
    await system.fetch("scheduler", "ALTER ROLE scheduler SET synchronous_commit = on")
    storm = Storm(system, kafka, postgres, random.Random(SEED))
    now = await storm.now()
    await storm.publish(*(storm.new_job(now) for _ in range(JOBS)))
    storm.schedulers = [system.start("scheduler", "run") for _ in range(2)]
    for each in storm.schedulers:
        await each.wait_ready()
    yield storm
    system.stop()


async def read_triggers(storm: Storm, at_least: int) -> list[SlotEvent]:
    """Read all triggers from their topic's beginning."""
    found: list[SlotEvent] = []
    seen = set[UUID]()
    async with Listener(storm.kafka.bootstrap, "sluice.triggers", from_beginning=True) as listener:
        while len(seen) < at_least:
            event = decode(await listener.record()).event
            assert isinstance(event, events.SlotTriggered | events.SlotSkipped)
            found.append(event)
            seen.add(event.run_id)
    return found


async def audit_all(storm: Storm) -> tuple[int, list[str]]:
    """Audit everything since the storm began; return the number of slots and the differences."""
    async with open_pool(storm.system.dsn("scheduler"), size=2, name="test") as pool:
        store, slots, found = AuditStore(pool), 0, list[str]()
        await storm.fetch("DELETE FROM audit")
        await storm.fetch(
            "INSERT INTO audit (slots_from, slots_to, due_at) VALUES ('2000-01-01', ledger_now(), ledger_now())"
        )
        while True:
            async with store.open_batch(150, pause=HOUR) as batch:
                if batch is None:
                    return slots, found
                slots += sum(len(each) for each in batch.ledger.values())
                found += [f"{version.job_id} {slot} {difference}" for version, slot, difference in audit(batch)]


async def check(storm: Storm, request: pytest.FixtureRequest) -> None:
    await storm.wait_until_done()
    for each in storm.schedulers:
        each.process.stop()
    ledger = await storm.ledger()
    verdict = judge(storm.jobs.values(), ledger, await read_triggers(storm, len(ledger)), storm.latest)
    audited, differences = await audit_all(storm)
    report = (
        f"{len(ledger)} slots, {storm.changes} changes, broken: {storm.broken or 'nothing'}; lost {len(verdict.lost)},"
        f" inconsistent {len(verdict.inconsistent)}, decided before a change arrived {verdict.early}, audited {audited}"
    )
    request.node.add_report_section("call", "storm", report)
    assert verdict.lost[:5] == []
    assert verdict.wrong[:5] == []
    assert verdict.unpublished[:5] == []
    assert verdict.inconsistent[:5] == []
    assert differences[:5] == []
    assert audited > 0
    assert verdict.early < len(ledger) / 2, "most slots are decided by the version that they belong to"


async def storm_until(storm: Storm, slots: int, breakage: dict[int, str | None]) -> None:
    """Change jobs and step the clock until there are `slots` slots; break what `breakage` lists for each turn."""
    turn = 0
    while (count := await storm.count_slots()) < slots:
        turn += 1
        await storm.keep_running()
        await storm.change_jobs(storm.dice.randint(20, 120))
        if storm.dice.random() < 0.6:
            await eventually(storm.knows_all, timeout=240)
        back = storm.dice.random() < 0.15
        await storm.step(HOUR * (-storm.dice.randint(1, 3) if back else storm.dice.randint(1, 9)))
        if (what := breakage.get(turn % len(breakage))) is not None:
            await storm.break_something(what)
        elif not back and storm.dice.random() < 0.5:
            await storm.wait_for_growth(count)


async def test_S7_J5_J10_thousands_of_changes_against_running_schedulers(
    storm: Storm, request: pytest.FixtureRequest
) -> None:
    await storm_until(storm, SLOTS // 2, {0: None})
    await check(storm, request)


async def test_S7_no_slot_is_lost_or_duplicated_while_everything_is_killed(
    storm: Storm, request: pytest.FixtureRequest
) -> None:
    plan = ["scheduler", None, "scheduler", "postgres", None, "scheduler", "kafka", None, "stalled", "scheduler"]
    await storm_until(storm, SLOTS // 2, dict(enumerate(plan)))
    await check(storm, request)
