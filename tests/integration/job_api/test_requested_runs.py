"""A run that was requested can be read and cancelled at once: before history knows it, and with the real history."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from shared.events import CancelRun
from shared.http.openapi_files import read_document
from shared.topics import COMMANDS
from tests.integration.job_api.certs import make_certificate, pem
from tests.integration.job_api.run_events import RunEventBuilder
from tests.integration.job_api.test_process import bootstrap
from tests.integration.job_api.test_run_events import apply
from tests.integration.job_api.world import HOURLY, Tenant, World, draft
from tests.support.listener import Listener
from tests.support.system import System
from tests.support.wait import eventually


def find_schema_errors(document: Mapping[str, Any], schema: str) -> list[str]:
    """Return how a document differs from a schema of history's OpenAPI document."""
    components = read_document("history")["components"]
    root = components["schemas"][schema] | {"components": components}
    validator = Draft202012Validator(root, format_checker=FormatChecker())
    assert set(document) == set(components["schemas"][schema]["properties"])
    return [error.message for error in validator.iter_errors(document)]


async def test_S10_a_requested_run_is_queued_in_the_list_at_once(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)
    run_id = (await tenant.client.post(f"/api/v1/jobs/{job['id']}/run")).json()["run_id"]
    (listed,) = (await tenant.client.get("/api/v1/jobs", params={"status": "queued"})).json()["items"]
    assert (listed["latest_run"]["id"], listed["latest_run"]["state"]) == (run_id, "queued")
    assert listed["version"] == job["version"]


async def test_J9_a_job_cannot_be_deleted_from_the_moment_a_run_is_requested(tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)
    run_id = (await tenant.client.post(f"/api/v1/jobs/{job['id']}/run")).json()["run_id"]
    refused = await tenant.client.delete(f"/api/v1/jobs/{job['id']}", headers={"If-Match": "*"})
    assert (refused.status_code, refused.json()["run"]) == (409, run_id)
    assert refused.json()["cancel"] == f"/api/v1/runs/{run_id}/cancel"


async def test_S11_the_trigger_gives_a_requested_run_its_slot(world: World, tenant: Tenant) -> None:
    job = await tenant.job(schedule=HOURLY)
    run_id = UUID((await tenant.client.post(f"/api/v1/jobs/{job['id']}/run")).json()["run_id"])
    slot = world.clock.at.replace(microsecond=1)
    events = RunEventBuilder(job, tenant.tenant_id, slot, run_id=run_id)
    await apply(world, events.triggered(), events.queued(), events.started())
    latest = (await tenant.client.get(f"/api/v1/jobs/{job['id']}")).json()["latest_run"]
    assert (latest["id"], latest["state"], datetime.fromisoformat(latest["slot"])) == (str(run_id), "running", slot)
    assert await world.admin.fetchval("SELECT count(*) FROM job_api.run_view") == 1


@dataclass
class Services:
    """Both services, and a tenant whose runs no scheduler triggers."""

    system: System
    client: httpx.AsyncClient
    tenant_id: UUID

    async def create_job(self) -> dict[str, Any]:
        response = await self.client.post("/api/v1/jobs", json=draft(title="Requested", schedule=HOURLY_IN_2090))
        assert response.status_code == 201, response.text
        job: dict[str, Any] = response.json()
        return job

    async def request_run(self, job: dict[str, Any]) -> str:
        response = await self.client.post(f"/api/v1/jobs/{job['id']}/run")
        assert response.status_code == 202, response.text
        location: str = response.headers["location"]
        return location

    async def create_client(self, *roles: str) -> httpx.AsyncClient:
        token = (await self.client.post("/api/v1/keys", json={"name": "key", "roles": roles})).json()["token"]
        return httpx.AsyncClient(
            base_url=self.client.base_url, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )


HOURLY_IN_2090 = {"kind": "hourly", "start": "2090-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
async def services(system: System, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    store = {"STORE": tmp_path_factory.mktemp("store").as_uri()}
    history, recorder = system.start("history", "api", store), system.start("history", "recorder", store)
    job_api = system.start("job_api", "api", {"HISTORY_URL": history.url})
    for service in (history, recorder, job_api):
        await service.wait_ready()
    tenant = await bootstrap(system, "Requested")
    bearer = {"Authorization": f"Bearer {tenant['api_key']}"}
    async with httpx.AsyncClient(base_url=job_api.url, headers=bearer, timeout=30) as client:
        await eventually(lambda: is_known(client), timeout=60)
        body = {"name": "officer", "pem": pem(make_certificate(now=datetime.now(UTC)))}
        assert (await client.post("/api/v1/certificates", json=body)).status_code == 201
        yield Services(system, client, UUID(tenant["tenant_id"]))


async def is_known(client: httpx.AsyncClient) -> bool:
    """Return whether history accepts a client's API key by now."""
    return (await client.get("/api/v1/runs")).status_code == 200


async def test_S10_R6_a_requested_run_can_be_read_and_cancelled_at_once(services: Services) -> None:
    async with Listener(services.system.kafka, COMMANDS.name) as commands:
        job = await services.create_job()
        location = await services.request_run(job)
        response = await services.client.get(location)
        assert response.status_code == 200, response.text
        run = response.json()
        assert find_schema_errors(run, "RunDetails") == []
        assert (run["state"], run["cause"], run["title"], run["type"]) == (
            "queued",
            "run-now",
            "Requested",
            "interaction",
        )
        assert (run["job_id"], run["created_at"]) == (job["id"], run["slot"])
        cancelled = await services.client.post(f"{location}/cancel")
        assert cancelled.status_code == 202, cancelled.text
        assert find_schema_errors(cancelled.json(), "Run") == []
        command = await commands.find(lambda event: isinstance(event, CancelRun))
        assert isinstance(command, CancelRun)
        assert (str(command.run_id), str(command.job_id), command.reason) == (run["id"], job["id"], "requested")
    entries = (await services.client.get("/api/v1/audit", params={"action": "run.cancel"})).json()["items"]
    assert [(each["object_kind"], each["object_id"], each["before"]) for each in entries] == [
        ("run", run["id"], {"state": "queued"})
    ]


async def test_S10_history_answers_as_soon_as_it_knows_the_run(services: Services) -> None:
    job = await services.create_job()
    location = await services.request_run(job)
    assert (await services.client.get(location)).json()["settings"] is None
    run_id, slot = UUID(location.rpartition("/")[2]), datetime.now(UTC)
    events = RunEventBuilder(job, services.tenant_id, slot, run_id=run_id)
    await services.system.publish(events.triggered(), events.queued())

    async def is_recorded() -> bool:
        response = await services.client.get(location)
        assert (response.status_code, response.json()["state"]) == (200, "queued")
        return bool(response.json()["settings"])

    await eventually(is_recorded, timeout=60)
    await services.system.publish(events.cancelled())

    async def has_ended() -> bool:
        return bool((await services.client.get(location)).json()["state"] == "cancelled")

    await eventually(has_ended, timeout=60)
    refused = await services.client.post(f"{location}/cancel")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (409, "run-ended")


async def test_U2_U3_a_requested_run_is_visible_to_its_tenant_and_cancelled_by_operators_only(
    services: Services,
) -> None:
    location = await services.request_run(await services.create_job())
    stranger = await bootstrap(services.system, "Stranger", number=102)
    bearer = {"Authorization": f"Bearer {stranger['api_key']}"}
    async with httpx.AsyncClient(base_url=services.client.base_url, headers=bearer, timeout=30) as other:
        await eventually(lambda: is_known(other), timeout=60)
        for path in (location, f"/api/v1/runs/{uuid4()}"):
            answers = [await other.get(path), await other.post(f"{path}/cancel")]
            assert [each.status_code for each in answers] == [404, 404]
            assert [each.json()["type"].rpartition("/")[2] for each in answers] == ["not-found"] * 2
    async with await services.create_client("viewer") as viewer:
        await eventually(lambda: is_known(viewer), timeout=60)
        assert (await viewer.get(location)).status_code == 200
        assert (await viewer.post(f"{location}/cancel")).status_code == 403
    async with httpx.AsyncClient(base_url=services.client.base_url, timeout=30) as nobody:
        assert (await nobody.get(location)).status_code == 401
