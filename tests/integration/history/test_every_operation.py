"""U1 to U3 for each operation of the OpenAPI document: without a token, with each role, and with foreign ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.events.values import Role
from tests.integration.history.conftest import History
from tests.integration.history.test_deliveries import wait_for_delivery
from tests.integration.history.test_files import fetch_artifacts, finish_run
from tests.integration.history.test_history import new_scenario, wait_for_state
from tests.support.examples import list_example_requests
from tests.unit.history.delivery_scenarios import DeliveryScenario

READERS = {"operator", "downloader", "viewer"}
DOWNLOADERS = {"operator", "downloader"}
ALLOWED = {
    "listRuns": READERS,
    "countRuns": READERS,
    "listScores": READERS,
    "getRun": READERS,
    "cancelRun": {"operator"},
    "removeRun": {"operator"},
    "getManifest": READERS,
    "headManifest": READERS,
    "listArtifacts": READERS,
    "countArtifacts": READERS,
    "getArtifact": READERS,
    "downloadArtifact": DOWNLOADERS,
    "headArtifact": DOWNLOADERS,
    "downloadArchive": DOWNLOADERS,
    "headArchive": DOWNLOADERS,
    "createLink": DOWNLOADERS,
    "deleteArtifacts": {"operator"},
    "followLink": READERS,
    "headLink": READERS,
    "followRuns": READERS,
    "listDeliveries": READERS,
    "getDelivery": READERS,
    "retryDelivery": {"operator"},
    "cancelDelivery": {"operator"},
    "getRetention": set[str](),
    "setRetention": set[str](),
}
"""Roles that may use each operation; administrators may use all. An operation that is missing here fails the tests."""
OPEN = {"followLink", "headLink"}
"""The link itself is the permission."""
ROLES: tuple[Role, ...] = ("admin", "operator", "downloader", "viewer")


@dataclass(frozen=True)
class Operation:
    """An operation, and how to call it."""

    method: str
    path: str
    name: str
    parameters: tuple[str, ...]

    async def call(self, client: httpx.AsyncClient, ids: dict[str, str]) -> httpx.Response:
        """Call it; only the beginning of a stream without an end is read."""
        query: dict[str, str] = {name: ids[place] for name, place in (("id", "artifact_id"), ("job_id", "job_id"))}
        query = {name: value for name, value in query.items() if name in self.parameters}
        body = {"days": 30} if self.name == "setRetention" else None
        async with client.stream(self.method, self.path.format(**ids), params=query, json=body) as response:
            if self.name != "followRuns" or response.status_code != httpx.codes.OK:
                await response.aread()
            return response

    def read_problem(self, response: httpx.Response) -> dict[str, Any]:
        """Return the problem of a response without what differs between requests; HEAD has only its headers."""
        problem: dict[str, Any] = {} if self.method == "HEAD" else response.json() | {"instance": ""}
        return problem


async def list_operations(history: History) -> list[Operation]:
    async with httpx.AsyncClient(base_url=history.api.url) as client:
        document = (await client.get("/api/v1/openapi.json")).json()
    return list(_operations_of(document))


def _operations_of(document: dict[str, Any]) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names = tuple(each["name"] for each in operation.get("parameters", []))
            yield Operation(method.upper(), path, operation["operationId"], names)


def unknown_ids() -> dict[str, str]:
    names = ("run_id", "artifact_id", "job_id", "delivery_id", "secret", "name")
    return {name: str(uuid4()) for name in names}


async def create_ids(history: History, operator: httpx.AsyncClient, name: str) -> dict[str, str]:
    """Create what an operation's path names, in a state in which the operation is allowed, and return its ids."""
    if name == "cancelRun":
        scenario = new_scenario(history).triggered().queued().started()
        await history.system.publish(*scenario.everything)
        await wait_for_state(operator, scenario, "running")
        return unknown_ids() | {"run_id": str(scenario.run_id), "job_id": str(scenario.job_id)}
    if name in {"getDelivery", "retryDelivery", "cancelDelivery"}:
        delivery = DeliveryScenario(new_scenario(history).triggered()).created()
        await history.system.publish(*(delivery if name != "retryDelivery" else delivery.failed()).everything)
        await wait_for_delivery(operator, delivery, "failed" if name == "retryDelivery" else "pending")
        return unknown_ids() | {"delivery_id": str(delivery.delivery_id)}
    scenario = await finish_run(history, operator)
    (history.store / "runs" / str(scenario.run_id) / str(scenario.token) / "manifest.json").write_text("{}")
    [file] = await fetch_artifacts(operator, scenario)
    found = {"run_id": str(scenario.run_id), "job_id": str(scenario.job_id), "artifact_id": str(file["id"])}
    return unknown_ids() | found


async def test_U2_every_operation_is_in_the_table_of_roles(history: History) -> None:
    assert {operation.name for operation in await list_operations(history)} == set(ALLOWED)


async def test_U1_no_operation_works_without_a_token(history: History) -> None:
    async with httpx.AsyncClient(base_url=history.api.url) as stranger:
        for operation in await list_operations(history):
            response = await operation.call(stranger, unknown_ids())
            assert response.status_code == (404 if operation.name in OPEN else 401), operation
            assert response.headers["content-type"] == "application/problem+json", operation


async def test_I1_every_response_carries_the_security_headers(history: History, operator: httpx.AsyncClient) -> None:
    ids = await create_ids(history, operator, "getRun")
    for operation in await list_operations(history):
        response = await operation.call(operator, ids)
        assert "no-store" in response.headers["cache-control"], operation
        assert response.headers["x-content-type-options"] == "nosniff", operation


async def test_I2_every_operation_refuses_unknown_parameters_by_name(
    history: History, operator: httpx.AsyncClient
) -> None:
    admin = await history.client("admin")
    ids = await create_ids(history, operator, "getRun")
    link = (await operator.post(f"/api/v1/artifacts/{ids['artifact_id']}/link")).json()["path"]
    ids["secret"], ids["name"] = link.rsplit("/", 2)[1:]
    for operation in await list_operations(history):
        query = {"id": ids["artifact_id"], "job_id": ids["job_id"]}
        query = {name: value for name, value in query.items() if name in operation.parameters} | {"status": "failed"}
        body = {"days": 30} if operation.name == "setRetention" else None
        response = await admin.request(operation.method, operation.path.format(**ids), params=query, json=body)
        assert response.status_code == 422, operation
        if operation.method != "HEAD":
            assert [each["field"] for each in response.json()["errors"]] == ["status"], operation


async def test_U3_a_foreign_id_and_an_unknown_one_get_the_same_404_from_every_operation(
    history: History, operator: httpx.AsyncClient
) -> None:
    foreign = await history.client("admin", tenant_id=uuid4())
    tried = 0
    for operation in await list_operations(history):
        named = {"run_id", "artifact_id", "delivery_id", "id"} & set(operation.parameters)
        if not named or operation.name == "followRuns" or operation.name.startswith(("list", "count")):
            continue
        theirs = await create_ids(history, operator, operation.name)
        responses = [await operation.call(foreign, ids) for ids in (theirs, unknown_ids())]
        assert [response.status_code for response in responses] == [404, 404], operation
        first, second = (operation.read_problem(response) for response in responses)
        assert first == second, operation
        assert set(responses[0].headers) == set(responses[1].headers), operation
        own = await operation.call(await history.client("admin"), theirs)
        assert own.is_success, (operation, own.status_code)
        tried += 1
    assert tried >= 9


@pytest.mark.parametrize("role", ROLES)
async def test_U2_each_role_may_use_the_operations_of_the_table_and_no_others(
    history: History, operator: httpx.AsyncClient, role: Role
) -> None:
    client = await history.client(role)
    ids = await create_ids(history, operator, "getRun")
    for operation in await list_operations(history):
        if operation.name in OPEN:
            continue
        response = await operation.call(client, ids)
        if role == "admin" or role in ALLOWED[operation.name]:
            # What was created for all operations together has ended, or has been deleted, for some.
            assert response.status_code in {200, 201, 202, 204, 404, 409, 410}, (operation, response.status_code)
        else:
            assert response.status_code == 403, operation
            if operation.method != "HEAD":
                assert response.json()["type"].endswith("/access-denied"), operation


async def test_I1_every_example_of_the_document_is_valid(history: History) -> None:
    admin, sent = await history.client("admin"), 0
    document = (await admin.get("/api/v1/openapi.json")).json()
    for each in list_example_requests(document):
        if each.operation == "followRuns":
            continue  # a stream has no end; test_live sends its parameters
        response = await admin.request(each.method, each.path, params=each.query, json=each.body)
        assert response.status_code not in {400, 415, 422}, (each, response.text)
        sent += 1
    assert sent > 20
