"""History's three processes on a database, a Kafka and a store of their own, and clients with each role."""

from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest

from shared import auth, events
from shared.events.values import Role
from tests.support.system import Service, System
from tests.support.wait import eventually


@dataclass
class History:
    """The running service, and clients with the rights of each role."""

    system: System
    store: Path
    recorder: Service
    estimates: Service
    api: Service
    tenant_id: UUID = field(default_factory=uuid4)

    async def client(self, *roles: Role, tenant_id: UUID | None = None) -> httpx.AsyncClient:
        """Return a client with a new API key, which the API knows already."""
        return await self.client_of(self.identity(*roles, tenant_id=tenant_id))

    def identity(self, *roles: Role, tenant_id: UUID | None = None) -> events.IdentitySaved:
        """Return a new API key as job-api publishes it; its secret is its id."""
        identity_id = uuid4()
        return events.IdentitySaved(
            identity_id=identity_id,
            kind="api-key",
            tenant_id=tenant_id or self.tenant_id,
            user_id=uuid4(),
            name="test",
            roles=roles,
            secret_hash=auth.hash_secret(identity_id.hex),
            expires_at=None,
            revoked=False,
            version=1,
        )

    async def client_of(self, identity: events.IdentitySaved) -> httpx.AsyncClient:
        """Return a client with a key, which the API knows already."""
        token = auth.Token(identity.identity_id, identity.identity_id.hex)
        await self.system.publish(identity)
        client = httpx.AsyncClient(base_url=self.api.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)

        async def known() -> bool:
            return (await client.get("/api/v1/runs")).status_code != 401

        await eventually(known)
        return client


@pytest.fixture(scope="module")
async def history(system: System, tmp_path_factory: pytest.TempPathFactory) -> History:
    """Return the service, ready."""
    store = tmp_path_factory.mktemp("store")
    settings = {"STORE": store.as_uri(), "RETENTION_EVERY": "PT1S", "HEARTBEAT": "PT1S", "LIVE_PATIENCE": "PT2S"}
    recorder, estimates, api = (system.start("history", each, settings) for each in ("recorder", "estimates", "api"))
    for service in (recorder, estimates, api):
        await service.wait_ready()
    return History(system, store, recorder, estimates, api)


@pytest.fixture(scope="module")
async def operator(history: History) -> httpx.AsyncClient:
    """Return a client with the role operator."""
    return await history.client("operator")
