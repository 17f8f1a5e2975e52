"""Authentication, sessions and API keys: U1 to U4."""

import json

import httpx
import pytest

from job_api.errors import TenantRefused
from job_api.service.bootstrap import bootstrap_tenant
from shared.events import IdentitySaved
from tests.integration.job_api.world import Tenant, World, draft

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


async def log_in(world: World, tenant: Tenant, **changes: object) -> tuple[httpx.AsyncClient, httpx.Response]:
    client = world.client()
    body = {"user": tenant.user, "password": tenant.password} | changes
    return client, await client.post("/api/v1/session", json=body)


async def test_U1_the_first_administrator_is_created_once(world: World) -> None:
    first = await bootstrap_tenant(world.database, world.clock, tenant="Acme", source_tenant=101, user="ana")
    assert set(first) == {"tenant_id", "user", "password", "api_key"}
    again = await bootstrap_tenant(world.database, world.clock, tenant="acme", source_tenant=101, user="bob")
    assert again == {"tenant_id": first["tenant_id"], "exists": True}
    me = (await world.client(first["api_key"]).get("/api/v1/me")).json()
    assert (me["name"], me["roles"], me["tenant_id"]) == ("ana's first key", ["admin"], first["tenant_id"])


async def test_E8_a_source_number_belongs_to_one_tenant(world: World) -> None:
    made = await bootstrap_tenant(world.database, world.clock, tenant="Acme", source_tenant=101, user="ana")
    for tenant, number, reason in (
        ("Other", 101, "belongs to the tenant Acme"),
        ("Acme", 102, "exists with the number 101"),
        ("Other", 2**31, "from 0 to 2147483647"),
    ):
        with pytest.raises(TenantRefused, match=reason):
            await bootstrap_tenant(world.database, world.clock, tenant=tenant, source_tenant=number, user="ana")
    rows = await world.admin.fetch("SELECT tenant_id FROM job_api.tenant")
    assert [str(row["tenant_id"]) for row in rows] == [made["tenant_id"]]


async def test_U1_a_session_by_login_works_and_ends(world: World, tenant: Tenant) -> None:
    client, answer = await log_in(world, tenant)
    assert answer.status_code == 201, answer.text
    (cookie,) = (each for each in answer.headers.get_list("set-cookie") if each.startswith("sluice_session="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Max-Age" not in cookie
    assert (await client.get("/api/v1/me")).json()["name"] == tenant.user
    saved = [event for event in await world.events() if isinstance(event, IdentitySaved)][-1]
    assert (saved.kind, saved.name, saved.revoked) == ("session", tenant.user, False)
    assert (await client.delete("/api/v1/session", headers=SAME_SITE)).status_code == 204
    assert (await world.client(None, Cookie=cookie.partition(";")[0]).get("/api/v1/me")).status_code == 401
    ended = [event for event in await world.events() if isinstance(event, IdentitySaved)][-1]
    assert (ended.identity_id, ended.revoked, ended.version) == (saved.identity_id, True, 2)


async def test_U4_a_cookie_is_secure_behind_tls_and_persistent_on_request(world: World, tenant: Tenant) -> None:
    client = world.client()
    client.base_url = httpx.URL("https://sluice.test")
    body = {"user": tenant.user, "password": tenant.password, "remember": True}
    cookie = (await client.post("/api/v1/session", json=body)).headers["set-cookie"]
    assert "Secure" in cookie
    assert "Max-Age=2592000" in cookie


@pytest.mark.parametrize(
    "wrong", [{"password": "wrong"}, {"user": "nobody"}, {"tenant": "another"}, {"password": "\ud83d" + "x"}]
)
async def test_U1_a_failed_login_does_not_disclose_what_was_wrong(
    world: World, tenant: Tenant, wrong: dict[str, str]
) -> None:
    client = world.client()
    body = {"user": tenant.user, "password": tenant.password} | wrong
    content = json.dumps(body)
    answer = await client.post("/api/v1/session", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in {401, 422}
    assert answer.json()["type"].endswith(("/login-failed", "/invalid"))
    assert "set-cookie" not in answer.headers


async def test_U1_one_name_in_two_tenants_needs_the_tenant(world: World) -> None:
    await bootstrap_tenant(world.database, world.clock, tenant="First", source_tenant=1, user="ana")
    second = await bootstrap_tenant(world.database, world.clock, tenant="Second", source_tenant=2, user="ana")
    client = world.client()
    body = {"user": "ANA", "password": second["password"]}
    assert (await client.post("/api/v1/session", json=body)).status_code == 401
    assert (await client.post("/api/v1/session", json=body | {"tenant": "First"})).status_code == 401
    answer = await client.post("/api/v1/session", json=body | {"tenant": " SECOND "})
    assert answer.json()["tenant_id"] == second["tenant_id"]


async def test_U4_a_session_cannot_be_used_from_another_site(world: World, tenant: Tenant) -> None:
    client, _ = await log_in(world, tenant)
    for headers in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.test"}):
        answer = await client.post("/api/v1/jobs", json=draft(), headers=headers)
        assert answer.status_code == 403
        assert answer.json()["type"].endswith("/cross-site")
    assert (await client.post("/api/v1/jobs", json=draft(), headers=SAME_SITE)).status_code == 201
    good = await client.post("/api/v1/jobs", json=draft(), headers={"Origin": "http://sluice.test"})
    assert good.status_code == 201
    evil = world.client(None, Origin="https://evil.test")
    forced = await evil.post("/api/v1/session", json={"user": tenant.user, "password": tenant.password})
    assert forced.status_code == 403


async def test_U4_a_key_is_shown_once_stored_hashed_and_can_be_revoked(world: World, tenant: Tenant) -> None:
    await world.clock.sleep(1)
    headers = {"Idempotency-Key": "k"}
    body = {"name": "loader", "roles": ["viewer"], "days": 1}
    made = await tenant.client.post("/api/v1/keys", json=body, headers=headers)
    assert made.status_code == 201
    token = made.json()["token"]
    again = (await tenant.client.post("/api/v1/keys", json=body, headers=headers)).json()
    assert (again["id"], again["token"]) == (made.json()["id"], None)
    client = world.client(token)
    assert (await client.get("/api/v1/me")).json()["roles"] == ["viewer"]
    secret = token.split("_", 2)[2]
    for table in ("identity", "idempotency", "audit", "outbox"):
        text = await world.admin.fetchval(f"SELECT string_agg(each::text, '') FROM job_api.{table} AS each")
        assert secret not in text, table
    listed = (await tenant.client.get("/api/v1/keys")).json()["items"]
    assert next(key["name"] for key in listed) == "loader"
    assert "token" not in listed[0]
    assert (await tenant.client.delete(f"/api/v1/keys/{made.json()['id']}")).status_code == 204
    assert (await client.get("/api/v1/me")).status_code == 401


async def test_U1_a_key_expires(world: World, tenant: Tenant) -> None:
    body = {"name": "loader", "roles": ["viewer"], "days": 1}
    client = world.client((await tenant.client.post("/api/v1/keys", json=body)).json()["token"])
    await world.clock.sleep(86399)
    assert (await client.get("/api/v1/me")).status_code == 200
    await world.clock.sleep(1)
    assert (await client.get("/api/v1/me")).status_code == 401


@pytest.mark.parametrize("token", ["", "x", "slc_", "slc_00000000000000000000000000000000_x", "slc_%00_%00"])
async def test_U1_an_invalid_token_is_refused(world: World, token: str) -> None:
    answer = await world.client(token or None).get("/api/v1/jobs")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
