"""Job API, scheduler and exporter as real processes with one Kafka and one database, for rules that span them."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
import pytest

from shared import events
from shared.clock import SystemClock
from shared.outbox import SHARDS
from tests.integration.exporter.gates import GatedHistory
from tests.integration.job_api.certs import make_certificate, pem
from tests.integration.job_api.test_process import bootstrap
from tests.integration.job_api.world import draft
from tests.support.system import Service, System
from tests.support.wait import eventually

HOURLY = {"kind": "hourly", "start": "2090-01-01T00:00:00Z"}
"""A schedule without a slot while the tests run."""


@dataclass
class Together:
    """The running services, and a client of the job API."""

    system: System
    history: GatedHistory
    store: Path
    tenant: UUID
    token: str
    parts: dict[str, Service] = field(default_factory=dict)
    certificate: str = ""

    async def start(self, *packages: str) -> None:
        """Start or restart services, and wait until they are ready."""
        for package in packages:
            if package == "exporter":
                settings = {"SOURCE": self.history.reader, "STORE": self.store.as_uri(), "LEASE": "PT3S"}
                self.parts[package] = self.system.start("exporter", "run", settings)
            else:
                self.parts[package] = self.system.start(package, "api" if package == "job_api" else "run")
        await asyncio.gather(*(self.parts[package].wait_ready() for package in packages))

    async def call(self, method: str, path: str, *, body: object = None, **headers: str) -> httpx.Response:
        """Send a request to the job API."""
        bearer = {"Authorization": f"Bearer {self.token}"}
        async with httpx.AsyncClient(base_url=self.parts["job_api"].url, headers=bearer, timeout=30) as client:
            return await client.request(method, f"/api/v1{path}", json=body, headers=headers)

    async def upload(self) -> None:
        """Upload a certificate for the tenant, and wait until the exporter has it."""
        body = {"name": f"officer {secrets.token_hex(3)}", "pem": pem(make_certificate(now=datetime.now(UTC)))}
        answer = await self.call("POST", "/certificates", body=body)
        assert answer.status_code == 201, answer.text
        self.certificate = answer.json()["id"]
        await self.wait_for_certificate(active=True)

    async def wait_for_certificate(self, *, active: bool) -> None:
        """Wait until the exporter has the certificate in a state."""
        known = "SELECT true FROM certificate WHERE certificate_id = $1 AND active = $2"
        await eventually(lambda: self.system.fetch("exporter", known, UUID(self.certificate), active))

    async def create_job(self, **schedule: object) -> dict[str, Any]:
        """Create a job; by default hourly from far in the future."""
        answer = await self.call("POST", "/jobs", body=draft(title="Together", schedule=schedule or HOURLY))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def get(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return a job as the API shows it now."""
        found: dict[str, Any] = (await self.call("GET", f"/jobs/{job['id']}")).json()
        return found

    async def delete(self, job: dict[str, Any]) -> httpx.Response:
        """Request the deletion of a job."""
        return await self.call("DELETE", f"/jobs/{job['id']}", **{"If-Match": "*"})

    async def run_now(self, job: dict[str, Any], key: str = "") -> UUID | None:
        """Request a run at once; return its id, None when the job is deleted."""
        answer = await self.call("POST", f"/jobs/{job['id']}/run", **{"Idempotency-Key": key or secrets.token_hex(8)})
        assert answer.status_code in {202, 404}, answer.text
        return UUID(answer.json()["run_id"]) if answer.status_code == 202 else None

    async def cancel(self, job: dict[str, Any], run_id: UUID) -> None:
        """Cancel a run as history's API does."""
        await self.system.publish(
            events.CancelRun(
                job_id=UUID(job["id"]),
                tenant_id=self.tenant,
                run_id=run_id,
                reason="requested",
                requested_by=None,
                requested_at=SystemClock().now(),
            )
        )

    async def wait_for_fate(self, run_id: UUID) -> str:
        """Wait for the scheduler's decision about a request, and return it."""
        query = "SELECT fate FROM slot WHERE run_id = $1"
        (row,) = await eventually(lambda: self.system.fetch("scheduler", query, run_id))
        fate: str = row["fate"]
        return fate

    async def wait_for_end(self, run_id: UUID) -> tuple[str, str | None]:
        """Wait for the end of a run at the exporter; return its state and the reason of a cancellation."""
        query = "SELECT state, cancel_reason FROM run WHERE run_id = $1 AND ended_at IS NOT NULL"
        (row,) = await eventually(lambda: self.system.fetch("exporter", query, run_id))
        return row["state"], row["cancel_reason"]

    async def wait_for_slot(self, job: dict[str, Any]) -> UUID:
        """Wait until the scheduler has decided a slot of a job; return the id of its run."""
        run_id, _ = (await eventually(lambda: self.slots(job)))[0]
        return run_id

    async def slots(self, job: dict[str, Any]) -> list[tuple[UUID, str]]:
        """Return the slots of a job in the ledger: runs and reasons, in order."""
        query = "SELECT run_id, reason FROM slot WHERE job_id = $1 ORDER BY at"
        return [tuple(row) for row in await self.system.fetch("scheduler", query, UUID(job["id"]))]

    async def runs(self, job: dict[str, Any]) -> list[str]:
        """Return the states of the runs of a job at the exporter."""
        query = "SELECT state FROM run WHERE job_id = $1 ORDER BY queued_at"
        return [row["state"] for row in await self.system.fetch("exporter", query, UUID(job["id"]))]

    async def wait_until_deleted(self, jobs: Sequence[dict[str, Any]]) -> None:
        """Wait until the scheduler and the exporter know that jobs are deleted."""
        ids = [UUID(job["id"]) for job in jobs]

        async def are_deletions_known() -> bool:
            query = "SELECT count(*) FROM {} WHERE deleted AND job_id = ANY ($1::uuid[])"
            for role, table in (("scheduler", "schedule"), ("exporter", "job")):
                (row,) = await self.system.fetch(role, query.format(table), ids)
                if row[0] != len(ids):
                    return False
            return True

        await eventually(are_deletions_known)

    @asynccontextmanager
    async def hold_relays(self) -> AsyncIterator[None]:
        """Keep the scheduler's decisions from being published, by holding the locks of all its relays."""
        holder = await asyncpg.connect(self.system.dsn("scheduler"))
        try:
            for shard in range(SHARDS):
                lock = "SELECT pg_advisory_lock(hashtext(current_schema() || '.outbox'), $1)"
                await holder.execute(lock, shard)
            yield
        finally:
            await holder.close()


@pytest.fixture(scope="module")
async def together(system: System, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Together]:
    services = ("job_api", "scheduler", "exporter")
    history = await GatedHistory.create(system.databases, rows=20, attachments=2)
    made = await bootstrap(system, "Together")
    store = tmp_path_factory.mktemp("store")
    running = Together(system, history, store, UUID(made["tenant_id"]), made["api_key"])
    await running.start(*services)
    await running.upload()
    async with AsyncExitStack() as stack:
        stack.callback(system.stop)
        yield running
