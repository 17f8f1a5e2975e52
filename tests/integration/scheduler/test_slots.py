"""The scheduler process, from a job on Kafka to a trigger on Kafka."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from shared import events
from shared.clock import SystemClock
from shared.timetable import derive_run_id, truncate_to_second
from tests.contract.samples import SETTINGS, TENANT, to_deleted
from tests.support.listener import Listener
from tests.support.system import Service, System
from tests.support.wait import eventually


def job(kind: str = "once", **changes: object) -> events.JobSaved:
    now = SystemClock().now()
    default = events.JobSaved(
        job_id=uuid4(),
        tenant_id=TENANT,
        version=1,
        state="active",
        state_reason=None,
        description="",
        settings=SETTINGS,
        schedule=events.Schedule(kind=kind, start=truncate_to_second(now), immediately=True),  # type: ignore[arg-type]
        catch_up="last",
        overlap="skip",
        saved_at=now,
    )
    return replace(default, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
async def scheduler(system: System) -> Service:
    service = system.start("scheduler", "run")
    await service.wait_ready()
    return service


async def slots(system: System, job_id: UUID) -> Sequence[tuple[datetime, str, str]]:
    rows = await system.fetch("scheduler", "SELECT at, fate, reason FROM slot WHERE job_id = $1 ORDER BY at", job_id)
    return [(row["at"], row["fate"], row["reason"]) for row in rows]


async def test_S1_J6_a_one_time_job_that_starts_immediately_is_triggered_although_suspended(
    system: System, scheduler: Service
) -> None:
    saved = job(state="suspended", state_reason="one-time")
    async with Listener(system.kafka, "sluice.triggers") as triggers:
        await system.publish(saved)
        trigger = await triggers.find(lambda event: getattr(event, "job_id", None) == saved.job_id)
    assert isinstance(trigger, events.SlotTriggered)
    assert trigger.slot == saved.schedule.start
    assert trigger.cause == "immediate"
    assert trigger.settings == saved.settings
    assert trigger.run_id == derive_run_id(saved.job_id, saved.schedule.start)
    assert await slots(system, saved.job_id) == [(saved.schedule.start, "triggered", "immediate")]


async def test_S7_a_job_published_twice_and_out_of_order_is_decided_once(system: System, scheduler: Service) -> None:
    first = job("hourly")
    later = replace(first, version=2, saved_at=first.saved_at + timedelta(milliseconds=1))
    await system.publish(later, first, later, first)
    await eventually(lambda: slots(system, first.job_id))
    marker = job()
    await system.publish(marker)
    await eventually(lambda: slots(system, marker.job_id))
    assert await slots(system, first.job_id) == [(first.schedule.start, "triggered", "immediate")]
    rows = await system.fetch("scheduler", "SELECT version FROM schedule WHERE job_id = $1", first.job_id)
    assert [row["version"] for row in rows] == [2]


async def test_S8_missed_slots_are_recorded_and_the_newest_runs(system: System, scheduler: Service) -> None:
    hour = SystemClock().now().replace(minute=0, second=0, microsecond=0)
    since = hour - timedelta(hours=5, minutes=30)
    saved = job("hourly", schedule=events.Schedule(kind="hourly", start=since), saved_at=since)
    await system.publish(saved)
    await eventually(lambda: slots(system, saved.job_id))
    found = await slots(system, saved.job_id)
    assert [slot for slot, _, _ in found] == [hour - timedelta(hours=number) for number in range(5, -1, -1)]
    assert [fate for _, fate, _ in found] == ["skipped"] * 5 + ["triggered"]
    assert {reason for _, fate, reason in found if fate == "skipped"} == {"missed"}


async def test_S7_slots_of_a_suspended_job_are_skipped_and_published(system: System, scheduler: Service) -> None:
    # Not the present hour: slots of suspended jobs stay open for a minute.
    hour = SystemClock().now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    saved = job(
        "hourly",
        state="suspended",
        schedule=events.Schedule(kind="hourly", start=hour),
        saved_at=hour - timedelta(minutes=1),
    )
    async with Listener(system.kafka, "sluice.triggers") as triggers:
        await system.publish(saved)
        skipped = await triggers.find(lambda event: getattr(event, "job_id", None) == saved.job_id)
    assert isinstance(skipped, events.SlotSkipped)
    assert (skipped.slot, skipped.reason) == (hour, "suspended")


async def test_J9_a_deleted_job_has_no_further_slots(system: System, scheduler: Service) -> None:
    saved = job("once", schedule=events.Schedule(kind="once", start=datetime(2090, 1, 1, tzinfo=UTC)))
    await system.publish(saved)

    async def next_slot() -> list[object]:
        rows = await system.fetch("scheduler", "SELECT next_slot FROM schedule WHERE job_id = $1", saved.job_id)
        return [row["next_slot"] for row in rows]

    await eventually(next_slot)
    await system.publish(to_deleted(saved))

    async def has_none() -> bool:
        return await next_slot() == [None]

    await eventually(has_none)
    await system.publish(replace(saved, version=9))
    marker = job()
    await system.publish(marker)
    await eventually(lambda: slots(system, marker.job_id))
    assert await next_slot() == [None]


async def test_an_unreadable_message_becomes_a_dead_letter_and_delays_no_other(
    system: System, scheduler: Service
) -> None:
    marker = job()
    async with Listener(system.kafka, "sluice.jobs.dead") as dead:
        await system.publish_raw(
            "sluice.jobs", b"{", {"ce_type": b"sluice.job.saved.v1", "ce_id": b"x", "ce_source": b"/x"}
        )
        await system.publish(marker)
        record = await dead.record()
    assert b"does not match its schema" in dict(record.headers)["dead_reason"]
    await eventually(lambda: slots(system, marker.job_id))
    assert await scheduler.metric("sluice_dead_letters_total", group="sluice.scheduler", topic="sluice.jobs") == 1


async def test_metrics_show_slots_and_lag(scheduler: Service) -> None:
    assert await scheduler.metric("sluice_slots_total", fate="triggered", reason="immediate") >= 1
    assert await scheduler.metric("sluice_slot_lateness_seconds_count") >= 1
    assert await scheduler.metric("sluice_outbox_rows", service="scheduler") == 0


async def test_SIGTERM_ends_the_process_cleanly(system: System) -> None:
    service = system.start("scheduler", "run")
    await service.wait_ready()
    assert service.process.stop() == 0
    assert "stopped" in service.log()
