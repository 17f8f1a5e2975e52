"""Concurrent requests: a trigger in flight (J9), two edits of one version, a repeated request, two last admins."""

import asyncio

import httpx

from shared.events import JobDeleted, JobSaved
from tests.integration.job_api.run_events import RunEventBuilder
from tests.integration.job_api.test_run_events import apply
from tests.integration.job_api.world import HOURLY, ONCE_LATER, Tenant, World, draft

ROUNDS = 25


async def test_J9_a_trigger_and_a_deletion_that_cross_end_in_one_of_the_two_ways(world: World, tenant: Tenant) -> None:
    seen = set()
    for number in range(ROUNDS):
        job = await tenant.job(schedule=ONCE_LATER if number % 2 else HOURLY)
        story = RunEventBuilder(job, tenant.tenant_id)
        path = f"/api/v1/jobs/{job['id']}"
        both = [tenant.client.delete(path, headers={"If-Match": "*"}), apply(world, story.triggered(), story.queued())]
        # They start in turns; the database decides which one wins.
        results = await asyncio.gather(*(both if number % 4 < 2 else reversed(both)))
        answer = next(each for each in results if isinstance(each, httpx.Response))
        runs = await world.admin.fetchval("SELECT count(*) FROM job_api.run_view WHERE job_id = $1", story.job_id)
        published = [event for event in await world.events() if getattr(event, "job_id", None) == story.job_id]
        if answer.status_code == 204:
            assert (runs, (await tenant.client.get(path)).status_code) == (0, 404)
            assert isinstance(published[-1], JobDeleted), "nothing is published of a job after its deletion"
        else:
            assert (answer.status_code, answer.json()["run"], runs) == (409, str(story.run_id), 1)
            assert isinstance(published[-1], JobSaved)
        seen.add(answer.status_code)
    assert seen <= {204, 409}


async def test_I3_of_two_edits_of_one_version_one_is_refused_as_a_lost_update(world: World, tenant: Tenant) -> None:
    for _ in range(5):
        job = await tenant.job()
        path, headers = f"/api/v1/jobs/{job['id']}", {"If-Match": '"1"'}
        answers = await asyncio.gather(
            *(tenant.client.patch(path, json={"title": f"by {number}"}, headers=headers) for number in range(4))
        )
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
        winner = next(answer for answer in answers if answer.status_code == 200)
        assert (await tenant.client.get(path)).json() == winner.json()


async def test_I3_a_request_repeated_concurrently_acts_once(tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "all-at-once"}
    answers = await asyncio.gather(
        *(tenant.client.post("/api/v1/jobs", json=draft(), headers=headers) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len((await tenant.client.get("/api/v1/jobs")).json()["items"]) == 1


async def test_U2_two_administrators_cannot_disable_each_other_at_once(world: World, tenant: Tenant) -> None:
    body = {"name": "second", "roles": ["admin"]}
    second = (await tenant.client.post("/api/v1/users", json=body)).json()["id"]
    first = (await tenant.client.get("/api/v1/me")).json()["user_id"]
    answers = await asyncio.gather(
        *(tenant.client.patch(f"/api/v1/users/{each}", json={"roles": ["viewer"]}) for each in (first, second))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]


async def test_J9_events_for_one_job_from_two_members_do_not_wait_in_a_circle(world: World, tenant: Tenant) -> None:
    jobs = [await tenant.job(schedule=HOURLY) for _ in range(6)]
    stories = [RunEventBuilder(job, tenant.tenant_id) for job in jobs]
    await asyncio.gather(
        apply(world, *(story.triggered() for story in stories)),
        *(tenant.client.post(f"/api/v1/jobs/{job['id']}/suspend") for job in reversed(jobs)),
    )
    for job in jobs:
        found = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()
        assert (found["state"], found["latest_run"]["state"]) == ("suspended", "queued")
