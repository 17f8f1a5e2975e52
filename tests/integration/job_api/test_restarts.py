"""The read model of runs survives kills and restarts, and events that are published again."""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx

from job_api.consumer import TOPICS
from shared import events
from tests.integration.job_api.certs import make_certificate, pem
from tests.integration.job_api.run_events import RunEventBuilder
from tests.integration.job_api.test_process import bootstrap
from tests.integration.job_api.world import draft
from tests.support.system import Service, System
from tests.support.wait import eventually

KILLS = 1
ENDS = ("succeeded", "failed", "cancelled", "running")


def events_of(story: RunEventBuilder, end: str) -> list[events.Event]:
    """Return all events of a run, in their order."""
    published: list[events.Event] = [story.triggered(), story.queued(), story.started()]
    published += [story.estimated(part / 8) for part in range(1, 7)]
    last: dict[str, Callable[[], events.Event]] = {
        "succeeded": story.succeeded,
        "failed": story.failed,
        "cancelled": story.cancelled,
    }
    return [*published, last[end]()] if end in last else published


async def list_jobs(service: Service, bearer: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Return the list of jobs as the API shows it."""
    async with httpx.AsyncClient(base_url=service.url, headers=bearer, timeout=30) as client:
        answer = await client.get("/api/v1/jobs", params={"limit": 100})
        assert answer.status_code == 200, answer.text
        return {job["id"]: job for job in answer.json()["items"]}


async def upload_certificate(service: Service, bearer: dict[str, str]) -> None:
    """Upload a certificate for the tenant."""
    body = {"name": "officer", "pem": pem(make_certificate(now=datetime.now(UTC)))}
    async with httpx.AsyncClient(base_url=service.url, headers=bearer, timeout=30) as client:
        assert (await client.post("/api/v1/certificates", json=body)).status_code == 201


async def create_jobs(service: Service, bearer: dict[str, str], schedule: dict[str, Any], count: int) -> list[Any]:
    """Create some jobs over the API."""
    async with httpx.AsyncClient(base_url=service.url, headers=bearer, timeout=30) as client:
        answers = [await client.post("/api/v1/jobs", json=draft(schedule=schedule)) for _ in range(count)]
    assert {answer.status_code for answer in answers} == {201}
    return [answer.json() for answer in answers]


async def test_J3_J7_R1_the_list_shows_the_fate_of_every_run_whenever_the_process_is_killed(system: System) -> None:
    service = system.start("job_api", "api")
    await service.wait_ready()
    made = await bootstrap(system, "Restarts")
    bearer, tenant_id = {"Authorization": f"Bearer {made['api_key']}"}, UUID(made["tenant_id"])
    await upload_certificate(service, bearer)
    slot = datetime.now(UTC).replace(microsecond=0)
    repeated = await create_jobs(service, bearer, {"kind": "hourly", "immediately": True}, 4 * len(ENDS))
    later = (slot + timedelta(days=1)).isoformat()
    once = await create_jobs(service, bearer, {"kind": "once", "start": later}, len(ENDS))
    ends = {job["id"]: ENDS[number % len(ENDS)] for number, job in enumerate(repeated + once)}
    stories = [events_of(RunEventBuilder(job, tenant_id, slot), ends[job["id"]]) for job in repeated + once]

    order = random.Random(7)
    for number in range(1, KILLS + 1):
        # Each time more events of every run, the earlier ones again, and the process is killed in the middle.
        parts = [story[: len(story) * number // (KILLS + 1)] for story in stories]
        order.shuffle(parts)
        await system.publish(*(event for part in parts for event in part))
        service.process.kill()
        await system.publish(*(event for part in parts for event in part))
        service = system.start("job_api", "api")
        await service.wait_ready()
    service.process.stop()
    everything = [event for story in stories for event in story]
    await system.publish(*everything)
    service = system.start("job_api", "api")
    await service.wait_ready()

    async def list_once_consumed() -> dict[str, dict[str, Any]]:
        await eventually(lambda: system.has_consumed_all("sluice.job-api", *TOPICS), timeout=120)
        return await list_jobs(service, bearer)

    found = await list_once_consumed()
    assert {job_id: job["latest_run"]["state"] for job_id, job in found.items()} == ends
    # There is no order between topics: an estimate may arrive before its run is known to have started.
    await system.publish(*everything)
    found = await list_once_consumed()
    for job_id, job in found.items():
        assert job["latest_run"]["state"] == ends[job_id]
        assert job["latest_run"]["progress"] == {"succeeded": 1.0, "running": 0.75}.get(
            ends[job_id], job["latest_run"]["progress"]
        )
    for job in once:
        suspended = found[job["id"]]
        assert (suspended["state"], suspended["state_reason"], suspended["version"]) == ("suspended", "one-time", 2)
    await system.publish(*everything)
    assert await list_once_consumed() == found, "republished events change nothing"
    (suspensions,) = await system.fetch(
        "job_api_system",
        "SELECT count(*) FROM set_config('job_api.scope', 'all', false), job_api.audit WHERE action = 'job.suspend'",
    )
    assert suspensions["count"] == len(once), "each one-time job was suspended once"
