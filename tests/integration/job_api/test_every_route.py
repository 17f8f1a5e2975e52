"""U1 to U3 for every operation of the OpenAPI document: without a token, with each role, and with foreign ids."""

import secrets
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI

from tests.integration.job_api.certs import make_certificate, pem
from tests.integration.job_api.world import NOW, Tenant, World
from tests.support.examples import list_example_requests

OPERATIONS = {
    "createJob": {"operator"},
    "listJobs": {"operator", "viewer"},
    "countJobs": {"operator", "viewer"},
    "getJob": {"operator", "viewer"},
    "replaceJob": {"operator"},
    "updateJob": {"operator"},
    "deleteJob": {"operator"},
    "suspendJob": {"operator"},
    "resumeJob": {"operator"},
    "runJob": {"operator"},
    "cloneJob": {"operator"},
    "cloneRun": {"operator"},
    "previewSchedule": {"operator", "viewer"},
    "estimateJob": {"operator", "viewer"},
    "uploadCertificate": {"operator"},
    "listCertificates": {"operator", "viewer"},
    "getCertificate": {"operator", "viewer"},
    "getCertificateUse": {"operator", "viewer"},
    "retireCertificate": {"operator"},
    "createDestination": set(),
    "listDestinations": {"operator", "viewer"},
    "getDestination": {"operator", "viewer"},
    "updateDestination": set(),
    "deleteDestination": set(),
    "testDestination": set(),
    "trustHostKey": set(),
    "listSources": {"operator", "viewer"},
    "listRecordSchemas": {"operator", "viewer", "downloader"},
    "getRecordSchema": {"operator", "viewer", "downloader"},
    "getTenant": {"operator", "viewer", "downloader"},
    "updateTenant": set(),
    "createKey": set(),
    "listKeys": set(),
    "revokeKey": set(),
    "createUser": set(),
    "listUsers": set(),
    "getUser": set(),
    "updateUser": set(),
    "listAudit": set(),
    "changePassword": {"operator", "downloader", "viewer"},
    "getMe": {"operator", "downloader", "viewer"},
    "logOut": {"operator", "downloader", "viewer"},
    "logIn": {"operator", "downloader", "viewer"},
}
"""The roles that may call each operation, besides administrators; an operation missing here fails the tests."""
OPEN = {"logIn"}
CREATING = {"createJob", "cloneJob", "cloneRun", "runJob", "uploadCertificate", "createKey", "createUser"} | {
    "createDestination"
}
CALLS_HISTORY = {"cloneRun"}
"""Their 404 is history's; here, without history, they answer that it is unavailable."""
FOR_ALL_TENANTS = {"getRecordSchema"}
"""Their ids are the same for all tenants."""
AFTER_A_TEST = {"trustHostKey"}
"""Refused until a test has shown something to act on."""
ROLES = ("admin", "operator", "downloader", "viewer")


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method.upper(), path, operation


def find_example(app: FastAPI, operation: dict[str, Any]) -> Any:
    """Return the first find_example of an operation's JSON body in the document."""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is None:
        return None
    if "$ref" in body:
        body = app.openapi()["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    return body["examples"][0]


async def create_object(tenant: Tenant, parameter: str) -> str:
    """Create the object that a parameter of a path names, and return its id."""
    client = tenant.client
    match parameter:
        case "job_id":
            return str((await tenant.job())["id"])
        case "certificate_id":
            name = f"c{secrets.token_hex(4)}"
            body = {"name": name, "pem": pem(make_certificate(now=NOW, name=name))}
            return str((await client.post("/api/v1/certificates", json=body)).json()["id"])
        case "user_id":
            user = {"name": f"u{secrets.token_hex(4)}", "roles": ["viewer"]}
            return str((await client.post("/api/v1/users", json=user)).json()["id"])
        case "destination_id":
            return str((await tenant.destination())["id"])
        case "run_id" | "record_type":
            return str(uuid4()) if parameter == "run_id" else "contact"
        case "key_id":
            return str((await client.post("/api/v1/keys", json={"name": "k", "roles": ["viewer"]})).json()["id"])
    raise AssertionError(f"do not know how to create a {parameter}")


async def call(
    world: World, client: httpx.AsyncClient, operation: tuple[str, str, dict[str, Any]], ids: dict[str, str]
) -> httpx.Response:
    method, path, described = operation
    body = find_example(world.app, described)
    needs = {each["name"] for each in described.get("parameters", [])}
    headers = {"If-Match": "*"} if "If-Match" in needs else {}
    return await client.request(method, path.format(**ids), json=body, headers=headers)


def parameters(operation: dict[str, Any]) -> list[str]:
    return [each["name"] for each in operation.get("parameters", []) if each["in"] == "path"]


async def test_U2_every_operation_is_in_the_table_of_roles(world: World) -> None:
    assert {described["operationId"] for _, _, described in operations(world.app)} == set(OPERATIONS)


async def test_U1_without_a_token_only_the_login_is_open(world: World) -> None:
    stranger = world.client()
    for operation in operations(world.app):
        ids = {name: str(uuid4()) for name in parameters(operation[2])}
        answer = await call(world, stranger, operation, ids)
        assert answer.status_code == 401, operation[2]["operationId"]
        kind = "login-failed" if operation[2]["operationId"] in OPEN else "unauthenticated"
        assert answer.json()["type"].endswith(f"/{kind}")


async def test_U3_a_foreign_id_and_an_unknown_one_get_the_same_404_everywhere(world: World, tenant: Tenant) -> None:
    other = await world.tenant()
    tried = 0
    for operation in operations(world.app):
        names = parameters(operation[2])
        if not names or operation[2]["operationId"] in CALLS_HISTORY | FOR_ALL_TENANTS:
            continue
        foreign = {name: await create_object(other, name) for name in names}
        unknown = {name: str(uuid4()) for name in names}
        answers = [await call(world, tenant.client, operation, ids) for ids in (foreign, unknown)]
        for answer in answers:
            assert answer.status_code == 404, (operation[2]["operationId"], answer.text)
        first, second = (answer.json() | {"instance": ""} for answer in answers)
        assert first == second
        assert set(answers[0].headers) == set(answers[1].headers)
        mine = await call(world, other.client, operation, foreign)
        assert mine.is_success or operation[2]["operationId"] in AFTER_A_TEST, (operation[2]["operationId"], mine.text)
        tried += 1
    assert tried >= 9


@pytest.mark.parametrize("path", ["jobs", "certificates", "destinations", "keys", "users", "audit"])
async def test_U3_lists_contain_the_tenants_own_objects_only(world: World, tenant: Tenant, path: str) -> None:
    other = await world.tenant()
    for each in (tenant, other):
        await each.job()
        await each.key("viewer")
        await each.destination()
    lists = [(await each.client.get(f"/api/v1/{path}")).json()["items"] for each in (tenant, other)]
    mine, theirs = ({item["id"] for item in items} for items in lists)
    assert mine
    assert theirs
    assert not mine & theirs


@pytest.mark.parametrize("role", ROLES)
async def test_U2_each_role_may_what_the_table_says_and_no_more(world: World, tenant: Tenant, role: str) -> None:
    for operation in operations(world.app):
        name = operation[2]["operationId"]
        client = world.client(await tenant.key(role))
        ids = {each: await create_object(tenant, each) for each in parameters(operation[2])}
        answer = await call(world, client, operation, ids)
        if role == "admin" or role in OPERATIONS[name]:
            good = {503} if name in CALLS_HISTORY else {200, 201, 202, 204, 422}
            assert answer.status_code in good or name in OPEN, (name, answer.text)
        else:
            assert answer.status_code == 403, (name, answer.text)
            assert answer.json()["type"].endswith("/access-denied")


async def test_U2_an_insufficient_role_learns_nothing_of_what_exists(world: World, tenant: Tenant) -> None:
    client = world.client(await tenant.key("viewer"))
    job = await tenant.job()
    for job_id in (job["id"], str(uuid4())):
        assert (await client.delete(f"/api/v1/jobs/{job_id}", headers={"If-Match": "*"})).status_code == 403


async def test_U3_row_level_security_hides_other_tenants_from_a_query_without_a_condition(
    world: World, tenant: Tenant
) -> None:
    other = await world.tenant()
    await other.job()
    await tenant.job()
    for each in (other, tenant):
        await each.destination()
    tables = ("tenant", "app_user", "identity", "certificate", "destination", "job", "audit")
    async with world.database.read(tenant.tenant_id) as database:
        for table in tables:
            found = {row["tenant_id"] for row in await database.fetch(f"SELECT tenant_id FROM {table}")}
            assert found == {tenant.tenant_id}, table
        assert await database.execute("UPDATE job SET title = 'mine now'") == "UPDATE 1"
        assert await database.execute("DELETE FROM audit WHERE tenant_id <> $1", tenant.tenant_id) == "DELETE 0"
    async with world.pools.tenant.acquire() as database:
        for table in tables:
            assert await database.fetchval(f"SELECT count(*) FROM {table}") == 0, f"{table}, with no scope at all"


async def test_U3_every_table_with_a_tenant_is_under_row_level_security(world: World) -> None:
    rows = await world.admin.fetch(
        """
        SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attname = 'tenant_id'
        WHERE relkind = 'r' AND relnamespace = 'job_api'::regnamespace
            AND NOT (relrowsecurity AND relforcerowsecurity)
        """
    )
    assert [row["relname"] for row in rows] == []


async def test_I1_the_document_is_complete_enough_to_generate_a_client(world: World) -> None:
    document = (await world.client().get("/api/v1/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    for method, path, described in operations(world.app):
        where = f"{method} {path}"
        assert described["operationId"], where
        assert described["summary"], where
        assert "401" in described["responses"], where
        if method in {"POST", "PUT", "PATCH"} and "requestBody" in described:
            assert find_example(world.app, described), where
        names = {each["name"] for each in described.get("parameters", [])}
        assert ("Idempotency-Key" in names) == (described["operationId"] in CREATING), where
        if path in {"/api/v1/jobs/{job_id}", "/api/v1/destinations/{destination_id}"} and method != "GET":
            assert {"412", "428"} <= set(described["responses"]), where


async def test_I1_every_example_of_the_document_is_valid(world: World, tenant: Tenant) -> None:
    sent = 0
    for each in list_example_requests(world.app.openapi()):
        # This user has another password than the example's.
        if each.operation in OPEN | {"changePassword"} or (each.method == "GET" and each.body is not None):
            continue
        answer = await tenant.client.request(
            each.method, each.path, params=each.query, json=each.body, headers={"If-Match": "*"}
        )
        assert answer.status_code not in {400, 415, 422}, (each, answer.text)
        sent += 1
    assert sent > 20
