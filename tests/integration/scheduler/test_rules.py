"""Run now, deletion, fairness, audit and retention on a running scheduler."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from deploy.local.reaper import Reaper
from scheduler.changes import Intake
from scheduler.service import STALL, Scheduler
from scheduler.store import Ledger
from shared import events
from shared.clock import SystemClock
from shared.postgres import PostgresUnavailable, migrate, open_pool
from shared.timetable import derive_request_run_id, truncate_to_second
from tests.contract.samples import SETTINGS, TENANT
from tests.support.listener import Listener
from tests.support.servers import Databases
from tests.support.system import Service, System
from tests.support.wait import eventually

HOUR = timedelta(hours=1)


def job(kind: str = "hourly", **changes: object) -> events.JobSaved:
    now = SystemClock().now()
    plain = events.JobSaved(
        job_id=uuid4(),
        tenant_id=TENANT,
        version=1,
        state="active",
        state_reason=None,
        description="",
        settings=SETTINGS,
        schedule=events.Schedule(kind=kind, start=now + 24 * HOUR),  # type: ignore[arg-type]
        catch_up="last",
        overlap="queue",
        saved_at=now,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def request(saved: events.JobSaved, **changes: object) -> events.RunNow:
    plain = events.RunNow(
        job_id=saved.job_id,
        tenant_id=saved.tenant_id,
        request_id=uuid4(),
        job_version=saved.version,
        settings=saved.settings,
        overlap=saved.overlap,
        requested_by=None,
        requested_at=SystemClock().now(),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
async def scheduler(system: System) -> Service:
    await migrate(system.dsn("scheduler"), "scheduler")
    service = system.start("scheduler", "run", {"LEDGER_KEPT": "P2D", "AUDIT_EVERY": "PT1S"})
    await service.ready()
    return service


def newcomer(system: System) -> Service:
    """Start one more: it looks at all jobs and slots at once; one that runs rests the longer the longer a look took."""
    return system.start("scheduler", "run", {"LEDGER_KEPT": "P2D"})


async def slots(system: System, job_id: UUID) -> Sequence[tuple[str, str, UUID]]:
    rows = await system.fetch("scheduler", "SELECT fate, reason, run_id FROM slot WHERE job_id = $1", job_id)
    return [(row["fate"], row["reason"], row["run_id"]) for row in rows]


async def deleted(system: System, job_id: UUID) -> bool:
    rows = await system.fetch("scheduler", "SELECT deleted FROM schedule WHERE job_id = $1", job_id)
    return bool(rows and rows[0]["deleted"])


async def test_S10_run_now_makes_one_run_of_each_request_and_leaves_the_schedule_alone(
    system: System, scheduler: Service
) -> None:
    saved = job(state="suspended")
    first = request(saved, requested_at=truncate_to_second(SystemClock().now()))
    second = replace(first, request_id=uuid4())  # in the same microsecond
    async with Listener(system.kafka, "sluice.triggers") as triggers:
        await system.publish(saved, first, first, second)
        found = [await triggers.find(lambda event: getattr(event, "job_id", None) == saved.job_id) for _ in range(2)]
    await system.publish(first, second)
    marker = request(job())
    await system.publish(marker)
    await eventually(lambda: slots(system, marker.job_id))
    runs = {derive_request_run_id(each.request_id) for each in (first, second)}
    assert set(await slots(system, saved.job_id)) == {("triggered", "run-now", run) for run in runs}
    told = [event for event in found if isinstance(event, events.SlotTriggered)]
    assert {event.run_id for event in told} == runs
    assert len({event.slot for event in told}) == 2
    for event in told:
        assert (event.cause, event.settings, event.overlap) == ("run-now", saved.settings, "queue")
        assert event.slot.microsecond, "whole seconds are the schedule's"
    (row,) = await system.fetch("scheduler", "SELECT version, state FROM schedule WHERE job_id = $1", saved.job_id)
    assert (row["version"], row["state"]) == (1, "suspended")


async def test_S10_a_request_for_a_job_that_is_known_to_be_deleted_ends_as_skipped(
    system: System, scheduler: Service
) -> None:
    saved = job()
    await system.publish(saved, events.JobDeleted(job_id=saved.job_id))
    await eventually(lambda: deleted(system, saved.job_id))
    asked = request(saved)
    async with Listener(system.kafka, "sluice.triggers") as triggers:
        await system.publish(asked)
        told = await triggers.find(lambda event: getattr(event, "job_id", None) == saved.job_id)
    assert isinstance(told, events.SlotSkipped)
    assert (told.reason, told.run_id) == ("ended", derive_request_run_id(asked.request_id))


async def test_S7_a_hundred_thousand_missed_slots_of_one_job_delay_the_others_by_less_than_a_second(
    system: System, scheduler: Service
) -> None:
    """Half of them settle under the version before an edit, half under the version after it."""
    now = SystemClock().now()
    old = job(schedule=events.Schedule(kind="hourly", start=now - 200_000 * HOUR), saved_at=now - 100_000 * HOUR)
    await system.publish(old, replace(old, version=2, saved_at=now - 50_000 * HOUR))
    await eventually(lambda: slots(system, old.job_id))
    others: list[events.JobSaved] = []
    while not others or await behind(system, old.job_id):
        saved = job("once", state="suspended")
        saved = replace(saved, schedule=events.Schedule(kind="once", start=SystemClock().now(), immediately=True))
        saved = replace(saved, saved_at=saved.schedule.start)
        await system.publish(saved)
        await eventually(partial(slots, system, saved.job_id))
        others.append(saved)
    delays = await system.fetch(
        "scheduler",
        "SELECT extract(epoch FROM slot.decided_at - schedule.start)::float8 AS late, next_slot"
        " FROM slot JOIN schedule USING (job_id) WHERE job_id = ANY($1::uuid[])",
        [each.job_id for each in others],
    )
    (counts,) = await system.fetch(
        "scheduler",
        "SELECT count(*) FILTER (WHERE fate = 'triggered') AS run, count(*) AS slots FROM slot WHERE job_id = $1",
        old.job_id,
    )
    assert counts["slots"] in {100_000, 100_001}
    assert counts["run"] == 1
    assert len(delays) == len(others)
    late = sorted(row["late"] for row in delays)
    assert late[len(late) // 2] < 1


async def test_S7_what_a_stalled_scheduler_holds_is_decided_by_another_within_two_seconds(
    system: System, scheduler: Service
) -> None:
    due = truncate_to_second(SystemClock().now()) + timedelta(seconds=3)
    saved = job("once", schedule=events.Schedule(kind="once", start=due))
    await system.publish(saved)
    async with open_pool(system.dsn("scheduler"), size=2, name="stalled") as pool:
        ledger = Ledger(pool)

        began = SystemClock().now()

        async def hold_and_do_nothing() -> None:
            async with ledger.transaction() as database:
                await ledger.begin(database, stall=STALL)
                await eventually(partial(ledger.lock_jobs, database, [saved.job_id]))
                await eventually(lambda: slots(system, saved.job_id))
                await ledger.lock_jobs(database, [saved.job_id])  # its rows were lost before it notices

        with pytest.raises(PostgresUnavailable):
            await hold_and_do_nothing()
    (row,) = await system.fetch("scheduler", "SELECT decided_at FROM slot WHERE job_id = $1", saved.job_id)
    late = (row["decided_at"] - max(due, began)).total_seconds()
    assert late < 2 + 1, "two seconds, and one for a busy machine"


async def behind(system: System, job_id: UUID) -> bool:
    (row,) = await system.fetch(
        "scheduler",
        "SELECT EXISTS (SELECT FROM past WHERE job_id = $1 AND next_slot IS NOT NULL) OR EXISTS"
        " (SELECT FROM schedule WHERE job_id = $1 AND next_slot <= now()) AS so",
        job_id,
    )
    return bool(row["so"])


async def test_S7_the_auditor_finds_nothing_but_what_is_wrong(system: System, scheduler: Service) -> None:
    hour = SystemClock().now().replace(minute=0, second=0, microsecond=0) - HOUR
    saved = job(schedule=events.Schedule(kind="hourly", start=hour - HOUR), saved_at=hour - HOUR)
    gone = job(saved_at=hour - HOUR)
    await system.publish(saved, gone, events.JobDeleted(job_id=gone.job_id))
    await eventually(lambda: deleted(system, gone.job_id))
    asked = [request(each, requested_at=hour + timedelta(seconds=1.5)) for each in (saved, gone)]
    await system.publish(*asked)

    async def decided() -> bool:
        return len(await slots(system, saved.job_id)) >= 4 and bool(await slots(system, gone.job_id))

    await eventually(decided)
    assert [(fate, reason) for fate, reason, _ in await slots(system, gone.job_id)] == [("skipped", "ended")]
    await system.fetch("scheduler", "UPDATE audit SET slots_from = now() - interval '3 hours', due_at = now()")

    async def audited() -> bool:
        return await scheduler.metric("sluice_audited_slots_total") >= 2

    await eventually(audited)
    for kind in ("missing", "unexpected", "wrong"):
        assert await scheduler.metric("sluice_audit_differences_total", difference=kind) == 0
    await system.fetch("scheduler", "DELETE FROM slot WHERE job_id = $1 AND at = $2", saved.job_id, hour)

    async def seen() -> bool:
        await system.fetch(
            "scheduler",
            "UPDATE audit SET after_job = NULL, slots_from = now() - interval '3 hours', slots_to = now(),"
            " due_at = now()",
        )
        return await scheduler.metric("sluice_audit_differences_total", difference="missing") > 0

    await eventually(seen)
    assert str(saved.job_id) in scheduler.log()


async def test_the_ledger_forgets_what_is_older_than_the_setting_says(system: System, scheduler: Service) -> None:
    saved = job()
    await system.publish(saved, request(saved))
    await eventually(lambda: slots(system, saved.job_id))
    await system.fetch(
        "scheduler", "UPDATE slot SET decided_at = now() - interval '49 hours' WHERE job_id = $1", saved.job_id
    )
    newcomer(system)

    async def forgotten() -> bool:
        return not await slots(system, saved.job_id)

    await eventually(forgotten, timeout=180)


async def test_S7_old_versions_of_jobs_are_forgotten_when_nothing_is_decided_by_them_any_more(
    own_kafka: str, postgres: Databases, reaper: Reaper, tmp_path: Path
) -> None:
    alone = await System.prepare(tmp_path, own_kafka, postgres, reaper, services=("scheduler",))
    now = SystemClock().now()
    never = events.Schedule(kind="daily", start=now + 1000 * 24 * HOUR)
    open_slots = job(schedule=events.Schedule(kind="hourly", start=now - 60 * HOUR), saved_at=now - 60 * HOUR)
    old, young = job(schedule=never, saved_at=now - 60 * HOUR), job(schedule=never, saved_at=now - 60 * HOUR)

    async def kept() -> set[tuple[UUID, int]]:
        rows = await alone.fetch("scheduler", "SELECT job_id, version FROM past")
        return {(row["job_id"], row["version"]) for row in rows}

    async with open_pool(alone.dsn("scheduler"), size=2, name="test") as pool:
        ledger = Ledger(pool)
        changes = Intake(ledger, wake=lambda: None)
        await changes.change([open_slots, old, young])
        await changes.change(
            [replace(each, version=2, schedule=never, saved_at=now - 50 * HOUR) for each in (open_slots, old)]
        )
        await changes.change(
            [replace(each, version=3, schedule=never, saved_at=now - 40 * HOUR) for each in (open_slots, old)]
        )
        await changes.change([replace(young, version=2, saved_at=now - 20 * HOUR)])
        waiting = {(open_slots.job_id, 1), (open_slots.job_id, 2)}
        assert await kept() == {*waiting, (old.job_id, 1), (old.job_id, 2), (young.job_id, 1)}
        await ledger.drop_old_versions(25 * HOUR)
        assert await kept() == {*waiting, (young.job_id, 1)}, "what catches up is judged by the versions after it"
        scheduler = Scheduler(ledger, missed_after=HOUR, batch=10)
        while await scheduler.turn():
            pass
        await ledger.drop_old_versions(25 * HOUR)
        assert await kept() == {(young.job_id, 1)}
        assert len(await slots(alone, open_slots.job_id)) == 10, "one for each hour that the first version ruled"


async def test_metrics_tell_of_jobs_and_the_next_slot(system: System, scheduler: Service) -> None:
    saved = job(schedule=events.Schedule(kind="hourly", start=SystemClock().now() - HOUR))
    await system.publish(saved)
    await eventually(
        lambda: system.fetch("scheduler", "SELECT FROM schedule WHERE job_id = $1 AND next_slot > now()", saved.job_id)
    )
    another = newcomer(system)
    await another.ready()

    async def told() -> bool:
        jobs = await another.metric("sluice_scheduled_jobs")
        return jobs > 0 and await another.metric("sluice_next_slot_timestamp_seconds") > SystemClock().now().timestamp()

    await eventually(told, timeout=180)
