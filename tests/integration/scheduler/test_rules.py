"""Run now, deletion, fairness, audit and retention on a running scheduler."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from deploy.local.reaper import Reaper
from scheduler.changes import ChangeService
from scheduler.service import STALL_LIMIT, Scheduler
from scheduler.store import Ledger
from shared import events
from shared.clock import SystemClock
from shared.postgres import PostgresUnavailable, open_pool
from shared.timetable import derive_request_run_id, truncate_to_second
from tests.contract.samples import SETTINGS, TENANT, to_deleted
from tests.support.listener import Listener
from tests.support.servers import Databases
from tests.support.system import Service, System
from tests.support.wait import eventually

HOUR = timedelta(hours=1)


def job(kind: str = "hourly", **changes: object) -> events.JobSaved:
    now = SystemClock().now()
    default = events.JobSaved(
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
    return replace(default, **changes)  # type: ignore[arg-type]


def request(saved: events.JobSaved, **changes: object) -> events.RunNow:
    default = events.RunNow(
        job_id=saved.job_id,
        tenant_id=saved.tenant_id,
        request_id=uuid4(),
        job_version=saved.version,
        settings=saved.settings,
        overlap=saved.overlap,
        requested_by=None,
        requested_at=SystemClock().now(),
    )
    return replace(default, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
async def scheduler(system: System) -> Service:
    service = system.start("scheduler", "run", {"LEDGER_KEPT": "P2D", "AUDIT_EVERY": "PT1S"})
    await service.wait_ready()
    return service


def start_another(system: System) -> Service:
    """Start another scheduler, whose maintenance scans all jobs and slots at once; a running one pauses in between."""
    return system.start("scheduler", "run", {"LEDGER_KEPT": "P2D"})


async def slots(system: System, job_id: UUID) -> Sequence[tuple[str, str, UUID]]:
    rows = await system.fetch("scheduler", "SELECT fate, reason, run_id FROM slot WHERE job_id = $1", job_id)
    return [(row["fate"], row["reason"], row["run_id"]) for row in rows]


async def is_deleted(system: System, job_id: UUID) -> bool:
    rows = await system.fetch("scheduler", "SELECT deleted FROM schedule WHERE job_id = $1", job_id)
    return bool(rows and rows[0]["deleted"])


async def test_S10_each_run_now_request_becomes_one_run_and_the_schedule_is_unaffected(
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
    triggered = [event for event in found if isinstance(event, events.SlotTriggered)]
    assert {event.run_id for event in triggered} == runs
    assert len({event.slot for event in triggered}) == 2
    for event in triggered:
        assert (event.cause, event.settings, event.overlap) == ("run-now", saved.settings, "queue")
        assert event.slot.microsecond, "whole seconds belong to the schedule"
    (row,) = await system.fetch("scheduler", "SELECT version, state FROM schedule WHERE job_id = $1", saved.job_id)
    assert (row["version"], row["state"]) == (1, "suspended")


async def test_S10_a_request_for_a_deleted_job_is_skipped(system: System, scheduler: Service) -> None:
    saved = job()
    await system.publish(saved, to_deleted(saved))
    await eventually(lambda: is_deleted(system, saved.job_id))
    run_now = request(saved)
    async with Listener(system.kafka, "sluice.triggers") as triggers:
        await system.publish(run_now)
        skipped = await triggers.find(lambda event: getattr(event, "job_id", None) == saved.job_id)
    assert isinstance(skipped, events.SlotSkipped)
    assert (skipped.reason, skipped.run_id) == ("ended", derive_request_run_id(run_now.request_id))


async def test_S7_a_hundred_thousand_missed_slots_of_one_job_delay_the_others_by_less_than_a_second(
    system: System, scheduler: Service
) -> None:
    """Half of them belong to the version before an edit, half to the one after it."""
    now = SystemClock().now()
    old = job(schedule=events.Schedule(kind="hourly", start=now - 200_000 * HOUR), saved_at=now - 100_000 * HOUR)
    await system.publish(old, replace(old, version=2, saved_at=now - 50_000 * HOUR))
    await eventually(lambda: slots(system, old.job_id))
    others: list[events.JobSaved] = []
    while not others or await is_behind(system, old.job_id):
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


async def test_S7_slots_locked_by_a_stalled_scheduler_are_decided_by_another_within_two_seconds(
    system: System, scheduler: Service
) -> None:
    due = truncate_to_second(SystemClock().now()) + timedelta(seconds=3)
    saved = job("once", schedule=events.Schedule(kind="once", start=due))
    await system.publish(saved)
    async with open_pool(system.dsn("scheduler"), size=2, name="stalled") as pool:
        ledger = Ledger(pool)

        began = SystemClock().now()

        async def lock_and_stall() -> None:
            async with ledger.transaction() as database:
                await ledger.begin(database, stall_limit=STALL_LIMIT)
                await eventually(partial(ledger.lock_jobs, database, [saved.job_id]))
                await eventually(lambda: slots(system, saved.job_id))
                await ledger.lock_jobs(database, [saved.job_id])  # its locks are removed before it notices

        with pytest.raises(PostgresUnavailable):
            await lock_and_stall()
    (row,) = await system.fetch("scheduler", "SELECT decided_at FROM slot WHERE job_id = $1", saved.job_id)
    late = (row["decided_at"] - max(due, began)).total_seconds()
    assert late < 2 + 1, "two seconds, and one for a busy machine"


async def is_behind(system: System, job_id: UUID) -> bool:
    (row,) = await system.fetch(
        "scheduler",
        "SELECT EXISTS (SELECT FROM schedule_history WHERE job_id = $1 AND next_slot IS NOT NULL) OR EXISTS"
        " (SELECT FROM schedule WHERE job_id = $1 AND next_slot <= now()) AS is_behind",
        job_id,
    )
    return bool(row["is_behind"])


async def test_S7_the_auditor_reports_only_wrong_slots(system: System, scheduler: Service) -> None:
    hour = SystemClock().now().replace(minute=0, second=0, microsecond=0) - HOUR
    saved = job(schedule=events.Schedule(kind="hourly", start=hour - HOUR), saved_at=hour - HOUR)
    removed = job(saved_at=hour - HOUR)
    await system.publish(saved, removed, to_deleted(removed))
    await eventually(lambda: is_deleted(system, removed.job_id))
    requests = [request(each, requested_at=hour + timedelta(seconds=1.5)) for each in (saved, removed)]
    await system.publish(*requests)

    async def is_decided() -> bool:
        return len(await slots(system, saved.job_id)) >= 4 and bool(await slots(system, removed.job_id))

    await eventually(is_decided)
    assert [(fate, reason) for fate, reason, _ in await slots(system, removed.job_id)] == [("skipped", "ended")]
    await system.fetch("scheduler", "UPDATE audit SET slots_from = now() - interval '3 hours', due_at = now()")

    async def is_audited() -> bool:
        return await scheduler.metric("sluice_audited_slots_total") >= 2

    await eventually(is_audited)
    for kind in ("missing", "unexpected", "wrong"):
        assert await scheduler.metric("sluice_audit_differences_total", difference=kind) == 0
    await system.fetch("scheduler", "DELETE FROM slot WHERE job_id = $1 AND at = $2", saved.job_id, hour)

    async def is_reported() -> bool:
        await system.fetch(
            "scheduler",
            "UPDATE audit SET after_job = NULL, slots_from = now() - interval '3 hours', slots_to = now(),"
            " due_at = now()",
        )
        return await scheduler.metric("sluice_audit_differences_total", difference="missing") > 0

    await eventually(is_reported)
    assert str(saved.job_id) in scheduler.log()


async def test_the_ledger_deletes_slots_older_than_the_setting(system: System, scheduler: Service) -> None:
    saved = job()
    await system.publish(saved, request(saved))
    await eventually(lambda: slots(system, saved.job_id))
    await system.fetch(
        "scheduler", "UPDATE slot SET decided_at = now() - interval '49 hours' WHERE job_id = $1", saved.job_id
    )
    start_another(system)

    async def is_deleted_from_ledger() -> bool:
        return not await slots(system, saved.job_id)

    await eventually(is_deleted_from_ledger, timeout=180)


async def test_S7_superseded_versions_are_deleted_when_no_decision_needs_them_any_more(
    own_kafka: str, postgres: Databases, reaper: Reaper, tmp_path: Path
) -> None:
    alone = await System.prepare(tmp_path, own_kafka, postgres, reaper)
    now = SystemClock().now()
    never = events.Schedule(kind="daily", start=now + 1000 * 24 * HOUR)
    open_slots = job(schedule=events.Schedule(kind="hourly", start=now - 60 * HOUR), saved_at=now - 60 * HOUR)
    old, young = job(schedule=never, saved_at=now - 60 * HOUR), job(schedule=never, saved_at=now - 60 * HOUR)

    async def stored() -> set[tuple[UUID, int]]:
        rows = await alone.fetch("scheduler", "SELECT job_id, version FROM schedule_history")
        return {(row["job_id"], row["version"]) for row in rows}

    async with open_pool(alone.dsn("scheduler"), size=2, name="test") as pool:
        ledger = Ledger(pool)
        changes = ChangeService(ledger, wake=lambda: None)
        await changes.apply_changes([open_slots, old, young])
        await changes.apply_changes(
            [replace(each, version=2, schedule=never, saved_at=now - 50 * HOUR) for each in (open_slots, old)]
        )
        await changes.apply_changes(
            [replace(each, version=3, schedule=never, saved_at=now - 40 * HOUR) for each in (open_slots, old)]
        )
        await changes.apply_changes([replace(young, version=2, saved_at=now - 20 * HOUR)])
        waiting = {(open_slots.job_id, 1), (open_slots.job_id, 2)}
        assert await stored() == {*waiting, (old.job_id, 1), (old.job_id, 2), (young.job_id, 1)}
        await ledger.delete_old_versions(25 * HOUR)
        assert await stored() == {*waiting, (young.job_id, 1)}, "the versions after it decide what it catches up"
        scheduler = Scheduler(ledger, missed_after=HOUR, batch=10)
        while await scheduler.decide_batch():
            pass
        await ledger.delete_old_versions(25 * HOUR)
        assert await stored() == {(young.job_id, 1)}
        assert len(await slots(alone, open_slots.job_id)) == 10, (
            "one for each hour in which the first version was in force"
        )


async def test_metrics_show_scheduled_jobs_and_the_next_slot(system: System, scheduler: Service) -> None:
    saved = job(schedule=events.Schedule(kind="hourly", start=SystemClock().now() - HOUR))
    await system.publish(saved)
    await eventually(
        lambda: system.fetch("scheduler", "SELECT FROM schedule WHERE job_id = $1 AND next_slot > now()", saved.job_id)
    )
    another = start_another(system)
    await another.wait_ready()

    async def is_shown() -> bool:
        jobs = await another.metric("sluice_scheduled_jobs")
        return jobs > 0 and await another.metric("sluice_next_slot_timestamp_seconds") > SystemClock().now().timestamp()

    await eventually(is_shown, timeout=180)
