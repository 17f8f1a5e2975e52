"""The job API as a process, set up from the command line, with a real Kafka on both sides."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from deploy.local.processes import plain_environment
from shared.events import CertificateSaved, IdentitySaved, JobSaved
from shared.topics import CERTIFICATES, IDENTITIES, JOBS
from tests.integration.job_api.certs import make_certificate, pem
from tests.integration.job_api.run_events import RunEventBuilder
from tests.integration.job_api.world import draft
from tests.support.listener import Listener
from tests.support.system import Service, System
from tests.support.wait import eventually

ROOT = Path(__file__).parents[3]


async def bootstrap(system: System, tenant: str, *, number: int = 101) -> dict[str, str]:
    command = ["-m", "job_api", "bootstrap", "--tenant", tenant, "--source-tenant", str(number), "--user", "ana"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env=plain_environment(system.settings("job_api")),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    made: dict[str, str] = json.loads(out)
    return made


@pytest.fixture(scope="module")
async def api(system: System) -> Service:
    """Return a process that serves the API."""
    service = system.start("job_api", "api")
    await service.wait_ready()
    return service


async def test_U1_bootstrap_creates_a_tenant_once_even_when_run_twice_at_once(system: System, api: Service) -> None:
    made = await asyncio.gather(bootstrap(system, "Twice", number=102), bootstrap(system, "Twice", number=102))
    assert {each["tenant_id"] for each in made} == {made[0]["tenant_id"]}
    assert sorted("exists" in each for each in made) == [False, True]


async def test_changes_reach_kafka_and_run_events_come_back(system: System, api: Service) -> None:
    async with (
        Listener(system.kafka, JOBS.name) as jobs,
        Listener(system.kafka, CERTIFICATES.name) as certificates,
        Listener(system.kafka, IDENTITIES.name) as identities,
    ):
        made = await bootstrap(system, "Acme")
        bearer = {"Authorization": f"Bearer {made['api_key']}"}
        now = datetime.now(UTC)
        async with httpx.AsyncClient(base_url=api.url, headers=bearer) as client:
            key = await identities.find(lambda event: isinstance(event, IdentitySaved))
            assert isinstance(key, IdentitySaved)
            assert key.secret_hash not in made["api_key"]
            body = {"name": "officer", "pem": pem(make_certificate(now=now))}
            assert (await client.post("/api/v1/certificates", json=body)).status_code == 201
            assert isinstance(await certificates.find(lambda _: True), CertificateSaved)

            job = (
                await client.post("/api/v1/jobs", json=draft(schedule={"kind": "hourly", "immediately": True}))
            ).json()
            saved = await jobs.find(lambda event: isinstance(event, JobSaved) and str(event.job_id) == job["id"])
            assert isinstance(saved, JobSaved)
            assert (saved.version, saved.settings.source_tenant, saved.state) == (1, 101, "active")

            story = RunEventBuilder(job, UUID(made["tenant_id"]), now.replace(microsecond=0))
            await system.publish(story.triggered(), story.queued(), story.started(), story.estimated(0.5))

            async def halfway() -> bool:
                run = (await client.get(f"/api/v1/jobs/{job['id']}")).json()["latest_run"]
                return bool(run and run["progress"] == 0.5)

            await eventually(halfway, timeout=30)
            refused = await client.delete(f"/api/v1/jobs/{job['id']}", headers={"If-Match": "*"})
            assert refused.status_code == 409


async def test_a_restarted_process_serves_the_same_data(system: System, api: Service) -> None:
    made = await bootstrap(system, "Stays", number=103)
    bearer = {"Authorization": f"Bearer {made['api_key']}"}
    second = system.start("job_api", "api")
    await second.wait_ready()
    second.process.stop()
    assert second.process.exit_code() == 0
    third = system.start("job_api", "api")
    await third.wait_ready()
    async with httpx.AsyncClient(headers=bearer) as client:
        assert (await client.get(f"{third.url}/api/v1/me")).json()["tenant_id"] == made["tenant_id"]
        assert (await client.get(f"{api.url}/api/v1/me")).status_code == 200
