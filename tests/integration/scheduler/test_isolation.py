"""One job that cannot be decided does not stop the others (rule S7), wherever it cannot."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID, uuid4

import asyncpg
import pytest

from scheduler.auditor import Auditor
from scheduler.store_audit import AuditStore
from shared import events
from shared.clock import SystemClock
from shared.observe import AUDIT_DIFFERENCES
from shared.postgres import open_pool
from tests.integration.scheduler.test_slots import job, slots
from tests.support.system import Service, System
from tests.support.wait import eventually

LATER = datetime(2090, 1, 1, tzinfo=UTC)
FAULTS: Mapping[str, str] = {
    "read as naive": "start = '-infinity'",
    "cannot be read": "start = '20000-01-01'",
    "breaks the timetable": "every = 0, kind = 'daily', start = now() - interval '3 days'",
}


@pytest.fixture(scope="module")
async def scheduler(system: System) -> Service:
    """Start a scheduler over a ledger that accepts what its constraints would refuse, as before they existed."""
    await system.fetch_as_owner("scheduler", "ALTER TABLE schedule DROP CONSTRAINT schedule_instants")
    await system.fetch_as_owner("scheduler", "ALTER TABLE schedule DROP CONSTRAINT schedule_every_check")
    service = system.start("scheduler", "run", {"AUDIT_EVERY": "PT1S"})
    await service.wait_ready()
    return service


async def plant(system: System, fault: str) -> UUID:
    """Break the row of a scheduled job whose slot is due; return the job."""
    saved = job("daily", schedule=events.Schedule(kind="daily", start=LATER))
    await system.publish(saved)
    known = "SELECT 1 FROM schedule WHERE job_id = $1"
    await eventually(lambda: system.fetch("scheduler", known, saved.job_id))
    await system.fetch("scheduler", f"UPDATE schedule SET {fault}, next_slot = now() WHERE job_id = $1", saved.job_id)
    return saved.job_id


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_S7_a_job_that_cannot_be_decided_is_set_aside_and_the_others_go_on(
    system: System, scheduler: Service, fault: str
) -> None:
    broken = await plant(system, fault)
    set_aside = "SELECT error FROM schedule_fault WHERE job_id = $1"
    assert await eventually(lambda: system.fetch("scheduler", set_aside, broken))
    others = [job() for _ in range(3)]
    await system.publish(*others)
    for other in others:
        await eventually(partial(slots, system, other.job_id))
    assert await slots(system, broken) == []

    async def is_shown() -> bool:
        return await scheduler.metric("sluice_schedules_set_aside") >= 1

    await eventually(is_shown)
    assert str(broken) in scheduler.log()
    # A corrected row is decided after a while, or at once with a new version.
    repaired = "UPDATE schedule SET start = $2, every = 1, next_slot = $3 WHERE job_id = $1"
    await system.fetch("scheduler", repaired, broken, LATER, LATER)
    await system.publish(job("once", job_id=broken, version=2, saved_at=SystemClock().now()))
    await eventually(lambda: slots(system, broken))
    assert await system.fetch("scheduler", set_aside, broken) == []


async def test_a_job_that_cannot_be_read_is_skipped_by_the_auditor_and_counted(system: System) -> None:
    broken = await plant_without_scheduler(system)
    counted = AUDIT_DIFFERENCES.labels("unreadable")._value
    before = counted.get()
    async with open_pool(system.dsn("scheduler"), size=2, name="test") as pool:
        auditor = Auditor(AuditStore(pool), every=timedelta(0))

        async def is_counted() -> bool:
            await auditor.audit_batch()
            return bool(counted.get() > before)

        await eventually(is_counted)
    await system.fetch("scheduler", "DELETE FROM schedule WHERE job_id = $1", broken)


async def plant_without_scheduler(system: System) -> UUID:
    job_id = uuid4()
    connection = await asyncpg.connect(system.owner_dsn("scheduler"))
    try:
        await connection.execute("ALTER TABLE schedule DROP CONSTRAINT IF EXISTS schedule_instants")
        await connection.execute(
            "INSERT INTO schedule VALUES ($1, $1, 1, 'active', 'daily', '20000-01-01', false, 1, 'last', 'skip', '{}', "
            "now(), NULL, false, NULL)",
            job_id,
        )
    finally:
        await connection.close()
    return job_id
