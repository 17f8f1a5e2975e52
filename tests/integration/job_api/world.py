"""The job API over a real PostgreSQL, called through its ASGI application; only a test moves the clock."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from job_api.service.bootstrap import bootstrap_tenant
from job_api.store import Database
from job_api.store.database import Pools
from shared.codec import Received, decode
from shared.events import Event
from shared.outbox import unpack_headers
from shared.sealing import generate_key_pair
from tests.integration.job_api.certs import make_certificate, pem

FIRST_SOURCE_NUMBER = 7
NOW = datetime(2026, 11, 24, 10, 30, 15, tzinfo=UTC)


@dataclass
class StillClock:
    """A clock that a test controls."""

    at: datetime = NOW

    def now(self) -> datetime:
        """Return the test's present instant."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Advance the clock without waiting."""
        self.at += timedelta(seconds=seconds)


@dataclass
class World:
    """The application, its database and its tenants."""

    dsn: str
    pools: Pools
    admin: "asyncpg.Connection[asyncpg.Record]"
    clock: StillClock
    app: Any
    _tenants: int = 0
    _clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def database(self) -> Database:
        """Return the store's database."""
        return Database(self.pools)

    def client(self, token: str | None = None, *, address: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
        """Return a client of the API at a network address, with a bearer token or without."""
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(self.app, client=(address, 50000))
        made = httpx.AsyncClient(transport=transport, base_url="http://sluice.test", headers=bearer | headers)
        self._clients.append(made)
        return made

    async def tenant(self, name: str | None = None) -> "Tenant":
        """Create a tenant with an administrator and an active certificate."""
        name = name or f"tenant {secrets.token_hex(4)}"
        user = f"ana-{secrets.token_hex(3)}"
        number = FIRST_SOURCE_NUMBER + self._tenants
        self._tenants += 1
        made = await bootstrap_tenant(self.database, self.clock, tenant=name, source_tenant=number, user=user)
        client = self.client(made["api_key"])
        body = {"name": "officer", "pem": pem(make_certificate(now=self.clock.at))}
        answer = await client.post("/api/v1/certificates", json=body)
        assert answer.status_code == 201, answer.text
        return Tenant(
            tenant_id=UUID(made["tenant_id"]),
            name=name,
            user=made["user"],
            password=made["password"],
            token=made["api_key"],
            client=client,
            certificate=answer.json()["id"],
        )

    async def events(self) -> list[Event]:
        """Return the events in the outbox, in the order in which they were written."""
        rows = await self.admin.fetch("SELECT topic, key, value, headers FROM job_api.outbox ORDER BY id")
        received = [
            Received(row["topic"], 0, 0, row["key"], row["value"], unpack_headers(row["headers"])) for row in rows
        ]
        return [decode(each).event for each in received]

    async def audit(self, tenant: "Tenant") -> list[str]:
        """Return the actions in a tenant's audit trail, in order."""
        rows = await self.admin.fetch(
            "SELECT action FROM job_api.audit WHERE tenant_id = $1 ORDER BY audit_id", tenant.tenant_id
        )
        return [row["action"] for row in rows]

    async def aclose(self) -> None:
        """Close the clients."""
        for client in self._clients:
            await client.aclose()


@dataclass
class Tenant:
    """A tenant and its administrator, who has a client with an API key."""

    tenant_id: UUID
    name: str
    user: str
    password: str
    token: str
    client: httpx.AsyncClient
    certificate: str

    async def job(self, **changes: Any) -> dict[str, Any]:
        """Create a job, daily from tomorrow on, with changes."""
        answer = await self.client.post("/api/v1/jobs", json=draft(**changes))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def destination(self, **changes: Any) -> dict[str, Any]:
        """Create an SFTP destination, with changes to its body."""
        body: dict[str, Any] = {
            "name": f"archive {secrets.token_hex(4)}",
            "kind": "sftp",
            "address": {"host": "sftp.example.com", "user_name": "sluice", "path": "incoming"},
            "credentials": {"password": "correct horse battery staple"},
        }
        answer = await self.client.post("/api/v1/destinations", json=body | changes)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def key(self, *roles: str) -> str:
        """Create an API key with these roles; return its token."""
        body = {"name": f"key {secrets.token_hex(4)}", "roles": roles}
        answer = await self.client.post("/api/v1/keys", json=body)
        assert answer.status_code == 201, answer.text
        token: str = answer.json()["token"]
        return token


def draft(**changes: Any) -> dict[str, Any]:
    """Return the body of a valid job with changes; `...` omits a field."""
    body = {
        "title": "Nightly",
        "source": "contact_history",
        "type": "interaction",
        "schedule": {"kind": "daily", "start": "2026-11-25T06:00:00Z"},
    }
    return {name: value for name, value in (body | changes).items() if value is not ...}


DELIVERY_KEYS = generate_key_pair()
"""The private key of the deliverers, which only tests use here, and its public key."""
ONCE_NOW = {"kind": "once", "immediately": True}
ONCE_LATER = {"kind": "once", "start": "2026-11-24T12:00:00Z"}
HOURLY = {"kind": "hourly", "every": 4, "start": "2026-11-24T12:00:00Z"}
