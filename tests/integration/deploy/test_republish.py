"""After a loss of Kafka's topics, they are created again and job-api publishes its state to all services."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.processes import plain_environment
from job_api.republishing import republish_all
from job_api.store import Database
from job_api.store.database import Pools
from shared.clock import SystemClock
from shared.kafka.admin import create_topics
from shared.settings import KafkaSettings
from shared.topics import TOPICS
from tests.support.system import Service, System
from tests.support.wait import eventually
from tests.unit.stream.officers import make_officer

ROOT = Path(__file__).parents[3]
HOURLY = {"kind": "hourly", "every": 1, "start": "2036-01-01T00:00:00Z"}
JOB = {"title": "kept", "source": "contact_history", "type": "contact", "schedule": HOURLY}
PUBLISHED = {"certificates": 1, "identities": 1, "subjects": 0, "destinations": 0, "jobs": 1, "deletions": 1}


async def job_api(system: System, *argv: str) -> dict[str, Any]:
    """Run a command of job-api and return its output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "job_api", *argv),
        env=plain_environment(system.settings("job_api")),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    printed: dict[str, Any] = json.loads(out)
    return printed


async def wait_until_published(system: System) -> None:
    """Wait until all events of job-api are in Kafka."""

    async def is_outbox_empty() -> bool:
        return not (await system.fetch("job_api_system", "SELECT count(*) FROM outbox"))[0][0]

    await eventually(is_outbox_empty, timeout=60)


async def scheduled(system: System) -> dict[UUID, int]:
    return {
        row["job_id"]: row["version"]
        for row in await system.fetch("scheduler", "SELECT * FROM schedule WHERE NOT deleted")
    }


async def lose_topics(system: System) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=system.kafka)
    await admin.start()
    ours = [topic.name for topic in TOPICS]
    await admin.delete_topics(ours)

    async def are_topics_gone() -> bool:
        return not set(ours) & set(await admin.list_topics())

    await eventually(are_topics_gone, timeout=60)
    await admin.close()


@pytest.fixture(scope="module")
async def known(system: System) -> tuple[str, str, str]:
    """Create a certificate, a job, and a deleted job; return the ids of the first two and the API key.

    The scheduler hears of both jobs but not of the deletion, nor of a change to the other; exporter and history hear of
    nothing: that is when Kafka is lost.
    """
    key = (await job_api(system, "bootstrap", "--tenant", "acme", "--source-tenant", "101", "--user", "ana"))["api_key"]
    api, scheduler = system.start("job_api", "api"), system.start("scheduler", "run")
    await asyncio.gather(api.wait_ready(), scheduler.wait_ready())
    async with httpx.AsyncClient(base_url=api.url, headers={"Authorization": f"Bearer {key}"}) as client:
        officer = {"name": "officer", "pem": make_officer("republish").pem.decode()}
        certificate = (await client.post("/api/v1/certificates", json=officer)).raise_for_status().json()["id"]
        kept = (await client.post("/api/v1/jobs", json=JOB)).raise_for_status().json()["id"]
        gone = (await client.post("/api/v1/jobs", json=JOB | {"title": "gone"})).raise_for_status().json()["id"]

        async def both_are_scheduled() -> bool:
            return set(await scheduled(system)) == {UUID(kept), UUID(gone)}

        await eventually(both_are_scheduled, timeout=60)
        scheduler.process.stop()
        anything = {"If-Match": "*"}
        (await client.post(f"/api/v1/jobs/{kept}/suspend", headers=anything)).raise_for_status()
        (await client.delete(f"/api/v1/jobs/{gone}", headers=anything)).raise_for_status()
    await wait_until_published(system)
    api.process.stop()
    await lose_topics(system)
    await create_topics(KafkaSettings(kafka_bootstrap=system.kafka, kafka_partitions=4))
    return certificate, kept, key


async def test_after_a_loss_of_topics_all_services_learn_everything_again(
    system: System, known: tuple[str, str, str], tmp_path: Path
) -> None:
    certificate, kept, _ = known
    store = {"STORE": tmp_path.as_uri()}
    source = {"SOURCE": system.databases.dsn(system.database)}
    processes: list[Service] = [
        system.start("job_api", "api"),
        system.start("scheduler", "run"),
        system.start("exporter", "run", store | source),
        system.start("history", "recorder", store),
    ]
    await asyncio.gather(*(each.wait_ready() for each in processes))
    assert await job_api(system, "republish") == PUBLISHED

    async def wait_until_all_know() -> None:
        assert await scheduled(system) == {UUID(kept): 2}, "the change is known, and so is the deletion"
        rows = await system.fetch("exporter", "SELECT certificate_id FROM certificate WHERE active")
        assert [row["certificate_id"] for row in rows] == [UUID(certificate)]
        rows = await system.fetch("history", "SELECT name, revoked FROM identity")
        assert [row["revoked"] for row in rows] == [False]
        assert [row["job_id"] for row in await system.fetch("history", "SELECT job_id FROM job WHERE NOT deleted")] == [
            UUID(kept)
        ]

    async def is_known_by_all() -> bool:
        await wait_until_all_know()
        return True

    await eventually(is_known_by_all, timeout=60)
    # Again, in the smallest batches: nothing changes.
    async with Pools.open(system.dsn("job_api"), system.dsn("job_api_system"), size=2, name="test") as pools:
        assert await republish_all(Database(pools), SystemClock(), batch=1) == PUBLISHED
    await wait_until_published(system)
    await wait_until_all_know()
