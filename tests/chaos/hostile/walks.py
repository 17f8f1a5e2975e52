"""Walks over every operation of the public document: as a stranger, with each role, and with another tenant's ids."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx

from tests.chaos.hostile.report import Report
from tests.chaos.system.world import World, create_tenant
from tests.support.wait import eventually
from tests.unit.history.delivery_scenarios import DeliveryScenario
from tests.unit.history.scenarios import RunScenario

OTHER_TENANT = 102
ROLES = ("operator", "downloader", "viewer")
_SEEN_BY_ALL = {"record_type"}
"""Parameters of paths whose values are the same for all tenants."""
_METHODS = {"get", "put", "post", "patch", "delete"}


@dataclass
class Operation:
    """One operation of the document."""

    method: str
    path: str
    details: dict[str, Any]

    @property
    def name(self) -> str:
        """Its id."""
        return str(self.details["operationId"])

    @property
    def is_open(self) -> bool:
        """Whether it is answered without authentication."""
        return self.details.get("security") == []

    @property
    def parameters(self) -> list[str]:
        """The parameters in its path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


@dataclass
class Walk:
    """The document of the public address, and two tenants: the owner of objects, and one that must not see them."""

    url: str
    report: Report
    owner: str
    """The API key of the owner's administrator."""
    stranger: str
    """The API key of the other tenant's administrator."""
    document: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    """Ids of the owner's objects, by the parameter that names them."""

    @classmethod
    async def prepare(cls, world: World, report: Report) -> "Walk":
        """Create the other tenant, and one of the owner's objects for each parameter of a path."""
        walk = cls(world.api_url, report, world.api_key, await create_tenant(world, "other", OTHER_TENANT))
        async with walk.client(walk.owner) as client:
            walk.document = (await client.get("/api/v1/openapi.json")).json()
            await walk._create_objects(client)
            await walk._create_delivery(client, world)
        return walk

    def client(self, token: str | None) -> httpx.AsyncClient:
        """Return a client with a token, or an anonymous one."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=60)

    def operations(self) -> Iterator[Operation]:
        """Yield all operations but live streams, which have no end."""
        for path, methods in self.document["paths"].items():
            for method, details in methods.items():
                if method in _METHODS and path != "/api/v1/events":
                    yield Operation(method.upper(), path, details)

    async def walk_as_stranger(self) -> None:
        """Call each operation without a token, with a wrong one and with one of nonsense: 401, before all else."""
        for token in (None, secrets.token_urlsafe(32), "eyJ" + "[" * 5_000):
            async with self.client(token) as client:
                for operation in self.operations():
                    answer = await self._call(client, operation, {name: str(uuid4()) for name in operation.parameters})
                    if not operation.is_open and answer.status_code != 401:
                        self.report.note("foreign_seen", f"{operation.name} answers a stranger {answer.status_code}")

    async def walk_with_roles(self) -> None:
        """Call each operation with a key of each role: nothing but what is documented comes back."""
        async with self.client(self.owner) as admin:
            keys = {role: await self._create_key(admin, role) for role in ROLES}
        for token in keys.values():
            async with self.client(token) as client:
                for operation in self.operations():
                    await self._call(client, operation, {name: str(uuid4()) for name in operation.parameters})

    async def walk_with_foreign_ids(self) -> None:
        """Call each operation with ids of another tenant: the answer is that of an id that does not exist (U3)."""
        async with self.client(self.stranger) as client:
            for operation in self.operations():
                names = [name for name in operation.parameters if name not in _SEEN_BY_ALL]
                if not names or operation.is_open:
                    continue
                unknown = {name: str(uuid4()) for name in names}
                foreign = {name: self.ids[name] for name in names}
                first = await self._call(client, operation, unknown)
                second = await self._call(client, operation, foreign)
                if first.status_code < 300 or _strip(first, unknown) != _strip(second, foreign):
                    statuses = f"{first.status_code} for an unknown id, {second.status_code} for a foreign one"
                    self.report.note("foreign_seen", f"{operation.name}: {statuses}")

    async def _call(self, client: httpx.AsyncClient, operation: Operation, ids: dict[str, str]) -> httpx.Response:
        path = operation.path.format(**{name: ids.get(name, "interaction") for name in operation.parameters})
        headers = {"If-Match": "*"} if operation.method in {"PUT", "PATCH", "DELETE"} else {}
        if operation.method == "POST":
            headers["Idempotency-Key"] = secrets.token_hex(8)
        body = self._find_example(operation)
        answer = await client.request(operation.method, path, headers=headers, json=body, params=_find_query(operation))
        self.report.count(f"{operation.method} {operation.path}", answer)
        if str(answer.status_code) not in operation.details["responses"]:
            self.report.note("undocumented", f"{operation.name} answers {answer.status_code}: {answer.text[:200]}")
        return answer

    def _find_example(self, operation: Operation) -> Any:
        content = operation.details.get("requestBody", {}).get("content", {}).get("application/json", {})
        schema = content.get("schema")
        if schema is None:
            return None
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema["examples"][0]

    async def _create_key(self, client: httpx.AsyncClient, role: str) -> str:
        body = {"name": f"{role} {secrets.token_hex(3)}", "roles": [role]}
        made = (await client.post("/api/v1/keys", json=body)).json()
        self.ids["key_id"] = made["id"]
        token: str = made["token"]
        return token

    async def _create_objects(self, client: httpx.AsyncClient) -> None:
        user = {"name": f"user {secrets.token_hex(3)}", "roles": ["viewer"], "password": "correct horse battery"}
        self.ids["user_id"] = (await client.post("/api/v1/users", json=user)).json()["id"]
        certificates = (await client.get("/api/v1/certificates")).json()["items"]
        self.ids["certificate_id"] = certificates[0]["id"]
        job = {
            "title": "Walk",
            "source": "contact_history",
            "type": "contact",
            "schedule": {"kind": "hourly", "start": "2090-01-01T00:00:00Z"},
        }
        self.ids["job_id"] = (await client.post("/api/v1/jobs", json=job)).json()["id"]
        run = await client.post(f"/api/v1/jobs/{self.ids['job_id']}/run")
        self.ids["run_id"] = run.json()["run_id"]

        async def find_artifact() -> str | None:
            listed = (await client.get("/api/v1/artifacts", params={"run_id": self.ids["run_id"]})).json()
            return listed["items"][0]["id"] if listed["items"] else None

        found = await eventually(find_artifact, timeout=180)
        assert found is not None
        self.ids["artifact_id"] = found
        await self._create_key(client, "viewer")

    async def _create_delivery(self, client: httpx.AsyncClient, world: World) -> None:
        """Create a destination, and the log of a delivery to it."""
        address = {"host": "sftp.example.com", "user_name": "walk"}
        body = {"name": "Walk", "kind": "sftp", "address": address, "credentials": {"password": "correct horse"}}
        self.ids["destination_id"] = (await client.post("/api/v1/destinations", json=body)).json()["id"]
        tenant = (await client.get("/api/v1/tenant")).json()["id"]
        run = RunScenario(tenant_id=UUID(tenant), job_id=UUID(self.ids["job_id"]))
        delivery = DeliveryScenario(run, destination_id=UUID(self.ids["destination_id"])).created().failed()
        await world.system.publish(*delivery.everything)
        self.ids["delivery_id"] = str(delivery.delivery_id)

        async def is_recorded() -> bool:
            return (await client.get(f"/api/v1/deliveries/{delivery.delivery_id}")).is_success

        await eventually(is_recorded, timeout=180)
        assert all(UUID(each) for each in self.ids.values())


def _find_query(operation: Operation) -> dict[str, str]:
    """Return values for the required parameters of a query: ids that nobody has."""
    found = operation.details.get("parameters", [])
    return {each["name"]: str(uuid4()) for each in found if each["in"] == "query" and each.get("required")}


def _strip(answer: httpx.Response, ids: dict[str, str]) -> tuple[int, str]:
    """Return what an answer says apart from the ids of its request."""
    try:
        problem = answer.json()
    except ValueError:
        return answer.status_code, answer.text
    text = json.dumps({name: value for name, value in problem.items() if name != "instance"}, sort_keys=True)
    for value in ids.values():
        text = text.replace(value, "id")
    return answer.status_code, text
