"""Run events reach the list of jobs: J3, J7, J9, R1, R8; duplicate, late and replayed events do no harm."""

import random
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from job_api.service import RunEventHandler
from job_api.service.run_events import AppliedEvent
from shared.events import JobSaved
from tests.integration.job_api.run_events import SLOT, RunEventBuilder
from tests.integration.job_api.world import HOURLY, NOW, ONCE_LATER, ONCE_NOW, Tenant, World


async def apply(world: World, *events: AppliedEvent) -> None:
    await RunEventHandler(world.database, world.clock).apply(events)


async def get_job(tenant: Tenant, job: dict[str, Any]) -> dict[str, Any]:
    answer = await tenant.client.get(f"/api/v1/jobs/{job['id']}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_J3_a_running_job_shows_progress_and_the_time_remaining(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)
    story = RunEventBuilder(job, tenant.tenant_id)
    await apply(world, story.triggered(), story.queued())
    assert (await get_job(tenant, job))["latest_run"]["state"] == "queued"
    await apply(world, story.started(), story.estimated(0.25))
    found = await get_job(tenant, job)
    run = found["latest_run"]
    assert (run["state"], run["progress"]) == ("running", 0.25)
    assert (run["estimate"]["seconds"], run["estimate"]["low"], run["estimate"]["high"]) == (60.0, 40.0, 90.0)
    assert found["last_run_at"] == run["started_at"]
    assert "in progress" in found["refusals"]["delete"]
    page = (await tenant.client.get("/api/v1/jobs", params={"status": "running"})).json()["items"]
    assert [each["id"] for each in page] == [job["id"]]
    await apply(world, story.succeeded())
    run = (await get_job(tenant, job))["latest_run"]
    assert (run["state"], run["progress"], run["estimate"]) == ("succeeded", 1.0, None)
    assert run["ended_at"] is not None


async def test_J3_the_next_run_moves_on_with_the_slots(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)
    world.clock.at = SLOT + timedelta(seconds=1)
    await apply(world, RunEventBuilder(job, tenant.tenant_id).triggered())
    assert (await get_job(tenant, job))["next_run_at"] == "2026-11-24T16:00:00Z"
    world.clock.at = SLOT + timedelta(hours=4)
    await apply(world, RunEventBuilder(job, tenant.tenant_id, SLOT + timedelta(hours=4)).skipped_slot("overlap"))
    assert (await get_job(tenant, job))["next_run_at"] == "2026-11-24T20:00:00Z"


async def test_J3_a_run_in_progress_is_shown_before_a_later_one_that_was_skipped(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)
    first, second = (
        RunEventBuilder(job, tenant.tenant_id),
        RunEventBuilder(job, tenant.tenant_id, SLOT + timedelta(hours=4)),
    )
    await apply(world, first.triggered(), first.queued(), first.started(), second.triggered(), second.skipped())
    assert (await get_job(tenant, job))["latest_run"]["id"] == str(first.run_id)
    await apply(world, first.succeeded())
    assert (await get_job(tenant, job))["latest_run"]["state"] == "skipped"


async def test_J7_a_scheduled_one_time_job_is_suspended_by_its_start_and_never_resumed(
    world: World, tenant: Tenant
) -> None:
    job = await tenant.job(schedule=ONCE_LATER)
    assert job["state"] == "active"
    story = RunEventBuilder(job, tenant.tenant_id)
    for _ in range(2):
        await apply(world, story.triggered())
    found = await get_job(tenant, job)
    assert (found["state"], found["state_reason"], found["version"]) == ("suspended", "one-time", 2)
    saved = [event for event in await world.events() if isinstance(event, JobSaved)]
    assert [event.version for event in saved] == [1, 2], "published once, however often the trigger arrives"
    answer = await tenant.client.post(f"/api/v1/jobs/{job['id']}/resume")
    assert answer.json()["type"].endswith("/one-time-not-resumable")
    assert (await world.audit(tenant))[-1] == "job.suspend"


async def test_J7_a_missed_start_counts_as_its_start(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=ONCE_LATER)
    await apply(world, RunEventBuilder(job, tenant.tenant_id).skipped_slot("missed"))
    assert (await get_job(tenant, job))["state_reason"] == "one-time"


async def test_J6_the_trigger_of_a_job_created_suspended_changes_nothing(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=ONCE_NOW)
    await apply(world, RunEventBuilder(job, tenant.tenant_id, NOW).triggered())
    found = await get_job(tenant, job)
    assert (found["version"], found["latest_run"]["state"]) == (1, "queued")


@pytest.mark.parametrize("way", ["queued", "running", "handed back", "to be tried again"])
async def test_J9_a_job_in_progress_cannot_be_deleted_and_its_cancel_is_named(
    world: World, tenant: Tenant, way: str
) -> None:
    job = await tenant.job(schedule=HOURLY)
    story = RunEventBuilder(job, tenant.tenant_id)
    await apply(world, story.triggered())
    if way != "queued":
        await apply(world, story.queued(), story.started())
    if way == "handed back":
        await apply(world, story.handed_back())
    if way == "to be tried again":
        await apply(world, story.attempt_failed())
    path, headers = f"/api/v1/jobs/{job['id']}", {"If-Match": "*"}
    answer = await tenant.client.delete(path, headers=headers)
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["type"].endswith("/run-in-progress")
    assert (problem["run"], problem["cancel"]) == (str(story.run_id), f"/api/v1/runs/{story.run_id}/cancel")
    await apply(world, story.cancelled())
    assert (await tenant.client.delete(path, headers=headers)).status_code == 204


async def test_J9_events_of_a_deleted_job_leave_nothing_behind(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)
    story = RunEventBuilder(job, tenant.tenant_id)
    await tenant.client.delete(f"/api/v1/jobs/{job['id']}", headers={"If-Match": "*"})
    before = len(await world.events())
    await apply(world, story.triggered(), story.queued(), story.started(), story.estimated(0.5), story.succeeded())
    assert await world.admin.fetchval("SELECT count(*) FROM job_api.run_view") == 0
    assert len(await world.events()) == before


async def test_R1_an_ended_run_never_changes_again(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)
    story = RunEventBuilder(job, tenant.tenant_id)
    early = story.started()
    await apply(world, story.triggered(), story.queued(), story.succeeded(), early, story.started(9), story.failed(9))
    await apply(world, story.estimated(0.1, token=9))
    run = (await get_job(tenant, job))["latest_run"]
    assert (run["state"], run["progress"]) == ("succeeded", 1.0)


async def test_H8_replays_and_duplicates_in_any_batches_give_the_same_list(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)
    story = RunEventBuilder(job, tenant.tenant_id)
    history: list[AppliedEvent] = [
        story.triggered(),
        story.queued(),
        story.started(1),
        story.estimated(0.2, 1),
        story.handed_back(1),
        story.started(2),
        story.estimated(0.6, 2),
        story.succeeded(2),
    ]
    await apply(world, *history)
    once = await get_job(tenant, job)
    for seed in range(5):
        chance = random.Random(seed)
        start = chance.randrange(len(history))
        await apply(world, *history[start:], *history[start:])
        await apply(world, *chance.sample(history, len(history)))
    assert await get_job(tenant, job) == once


async def test_R8_five_failed_runs_in_a_row_suspend_a_job_with_the_reason(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)

    async def fail(number: int) -> None:
        story = RunEventBuilder(job, tenant.tenant_id, SLOT + timedelta(hours=4 * number))
        await apply(world, story.triggered(), story.queued(), story.started())
        ended = story.failed()
        for _ in range(2):
            await apply(world, ended)

    for number in range(4):
        await fail(number)
    good = RunEventBuilder(job, tenant.tenant_id, SLOT + timedelta(hours=16))
    await apply(world, good.triggered(), good.succeeded())
    for number in range(5, 9):
        await fail(number)
    assert (await get_job(tenant, job))["state"] == "active"
    await fail(9)
    found = await get_job(tenant, job)
    assert (found["state"], found["state_reason"]) == ("suspended", "failures")
    assert found["latest_run"]["message"] == "no certificate"
    answer = await tenant.client.post(f"/api/v1/jobs/{job['id']}/resume")
    assert answer.json()["state"] == "active"
    await fail(10)
    assert (await get_job(tenant, job))["state"] == "active", "the count starts again"


async def test_U3_an_event_that_names_another_tenant_changes_nothing(world: World, tenant: Tenant) -> None:
    other = await world.tenant()
    job = await tenant.job(schedule=HOURLY)
    story = RunEventBuilder(job, other.tenant_id)
    await apply(world, story.triggered(), story.queued(), story.started())
    assert (await get_job(tenant, job))["latest_run"] is None


async def test_events_of_unknown_jobs_are_ignored(world: World, tenant: Tenant) -> None:
    story = RunEventBuilder({"id": str(uuid4())}, tenant.tenant_id)
    await apply(world, story.triggered(), story.started(), story.estimated(0.5), story.failed())
