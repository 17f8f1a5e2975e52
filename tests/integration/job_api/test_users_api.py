"""Users, roles and the audit trail: U2, U4, U5."""

from typing import Any

import httpx
import pytest

from shared.events import IdentitySaved
from tests.integration.job_api.world import Tenant, World

USERS = "/api/v1/users"
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


async def new_user(tenant: Tenant, *roles: str, name: str = "ben") -> dict[str, Any]:
    answer = await tenant.client.post(USERS, json={"name": name, "roles": roles})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def session(world: World, tenant: Tenant, user: dict[str, Any]) -> httpx.AsyncClient:
    client = world.client(None, **SAME_SITE)
    body = {"user": user["name"], "password": user["password"], "tenant": tenant.name}
    answer = await client.post("/api/v1/session", json=body)
    assert answer.status_code == 201, answer.text
    return client


async def test_U2_a_user_is_created_with_a_password_that_is_shown_once(world: World, tenant: Tenant) -> None:
    headers = {"Idempotency-Key": "u"}
    body = {"name": "  ben ", "roles": ["viewer", "viewer"]}
    first, again = [(await tenant.client.post(USERS, json=body, headers=headers)).json() for _ in range(2)]
    assert (first["name"], first["roles"], first["disabled"]) == ("ben", ["viewer"], False)
    assert (again["id"], again["password"]) == (first["id"], None)
    client = await session(world, tenant, first)
    assert (await client.get("/api/v1/me")).json()["roles"] == ["viewer"]
    assert (await tenant.client.get(f"{USERS}/{first['id']}")).json()["name"] == "ben"
    assert [user["name"] for user in (await tenant.client.get(USERS)).json()["items"]] == [tenant.user, "ben"]
    for table in ("app_user", "audit", "idempotency"):
        text = await world.admin.fetchval(f"SELECT string_agg(each::text, '') FROM job_api.{table} AS each")
        assert first["password"] not in text, table


async def test_U2_a_name_can_be_used_once_ignoring_case(tenant: Tenant) -> None:
    await new_user(tenant, name="ben")
    answer = await tenant.client.post(USERS, json={"name": "BEN", "roles": []})
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "user-exists")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"name": " ", "roles": []}, "name"),
        ({"name": "a\nb", "roles": []}, "name"),
        ({"name": "ben", "roles": ["king"]}, "roles.0"),
        ({"name": "ben", "roles": [], "password": "short"}, "password"),
        ({"name": "ben", "roles": [], "age": 7}, "age"),
    ],
)
async def test_I2_an_invalid_user_is_refused_by_field(tenant: Tenant, body: dict[str, Any], named: str) -> None:
    answer = await tenant.client.post(USERS, json=body)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [named]


async def test_U2_changed_roles_apply_at_once_and_are_published(world: World, tenant: Tenant) -> None:
    user = await new_user(tenant, "operator", "viewer")
    client = await session(world, tenant, user)
    before = len(await world.events())
    answer = await tenant.client.patch(f"{USERS}/{user['id']}", json={"roles": ["viewer"]})
    assert answer.status_code == 200, answer.text
    assert (await client.post("/api/v1/jobs", json={})).status_code == 403
    assert (await client.get("/api/v1/jobs")).status_code == 200
    published = (await world.events())[before:]
    assert [event.roles for event in published if isinstance(event, IdentitySaved)] == [("viewer",)]


async def test_U2_a_key_never_has_more_than_its_owner_has_left(world: World, tenant: Tenant) -> None:
    user = await new_user(tenant, "admin")
    client = await session(world, tenant, user)
    body = {"name": "k", "roles": ["operator", "viewer"]}
    key = world.client((await client.post("/api/v1/keys", json=body)).json()["token"])
    await tenant.client.patch(f"{USERS}/{user['id']}", json={"roles": ["viewer", "downloader"]})
    assert (await key.get("/api/v1/me")).json()["roles"] == ["viewer"]


async def test_U1_disabling_a_user_ends_sessions_and_keys_at_once(world: World, tenant: Tenant) -> None:
    user = await new_user(tenant, "admin")
    client = await session(world, tenant, user)
    key = world.client((await client.post("/api/v1/keys", json={"name": "k", "roles": ["viewer"]})).json()["token"])
    assert (await key.get("/api/v1/me")).status_code == 200
    await tenant.client.patch(f"{USERS}/{user['id']}", json={"disabled": True})
    for each in (client, key):
        assert (await each.get("/api/v1/me")).status_code == 401
    body = {"user": user["name"], "password": user["password"], "tenant": tenant.name}
    assert (await world.client().post("/api/v1/session", json=body)).status_code == 401
    revoked = [event for event in await world.events() if isinstance(event, IdentitySaved) and event.revoked]
    assert {event.kind for event in revoked} == {"session", "api-key"}
    await tenant.client.patch(f"{USERS}/{user['id']}", json={"disabled": False})
    assert (await world.client().post("/api/v1/session", json=body)).status_code == 201


@pytest.mark.parametrize("change", [{"disabled": True}, {"roles": ["operator"]}])
async def test_U2_the_last_administrator_cannot_be_removed(tenant: Tenant, change: dict[str, Any]) -> None:
    me = (await tenant.client.get(USERS)).json()["items"][0]
    answer = await tenant.client.patch(f"{USERS}/{me['id']}", json=change)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "last-admin")
    await new_user(tenant, "admin", name="second")
    assert (await tenant.client.patch(f"{USERS}/{me['id']}", json=change)).status_code == 200


async def test_U4_changing_ones_password_ends_the_other_sessions(world: World, tenant: Tenant) -> None:
    user = await new_user(tenant, "viewer")
    here, there = await session(world, tenant, user), await session(world, tenant, user)
    path = "/api/v1/me/password"
    wrong = await here.put(path, json={"current": "wrong", "new": "long enough, this"})
    assert [fault["field"] for fault in wrong.json()["errors"]] == ["current"]
    good = await here.put(path, json={"current": user["password"], "new": "long enough, this"})
    assert good.status_code == 204
    assert (await here.get("/api/v1/me")).status_code == 200
    assert (await there.get("/api/v1/me")).status_code == 401
    await session(world, tenant, user | {"password": "long enough, this"})


async def test_I4_users_are_listed_by_name_a_page_at_a_time(tenant: Tenant) -> None:
    for name in ("zoe", "Ben", "carl"):
        await new_user(tenant, name=name)
    names: list[str] = []
    cursor = None
    while True:
        page = (await tenant.client.get(USERS, params={"limit": "2"} | ({"cursor": cursor} if cursor else {}))).json()
        names += [user["name"] for user in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert names == [tenant.user, "Ben", "carl", "zoe"]


async def test_U5_the_trail_shows_who_changed_what_before_and_after(world: World, tenant: Tenant) -> None:
    job = await tenant.job(title="Before")
    await tenant.client.patch(f"/api/v1/jobs/{job['id']}", json={"title": "After"}, headers={"If-Match": "*"})
    page = (await tenant.client.get("/api/v1/audit", params={"object_id": job["id"]})).json()
    edit, create = page["items"]
    assert (create["action"], create["before"], create["after"]["settings"]["title"]) == ("job.create", None, "Before")
    assert (edit["action"], edit["object_kind"], edit["actor"]) == ("job.edit", "job", f"{tenant.user}'s first key")
    assert (edit["before"]["settings"]["title"], edit["after"]["settings"]["title"]) == ("Before", "After")
    assert edit["actor_id"] is not None


async def test_U5_the_trail_is_filtered_and_paged_newest_first(tenant: Tenant) -> None:
    for _ in range(3):
        await tenant.job()
    actions: list[str] = []
    cursor = None
    while True:
        wanted = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await tenant.client.get("/api/v1/audit", params=wanted)).json()
        actions += [entry["action"] for entry in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    made = ["tenant.create", "user.create", "api-key.create", "certificate.upload", *["job.create"] * 3]
    assert actions == made[::-1]
    filtered = (await tenant.client.get("/api/v1/audit", params={"object_kind": "user"})).json()["items"]
    assert [entry["action"] for entry in filtered] == ["user.create"]


async def test_U5_a_refused_change_leaves_no_entry(world: World, tenant: Tenant) -> None:
    before = await world.audit(tenant)
    await tenant.client.post("/api/v1/jobs", json={"title": "x"})
    await tenant.client.delete(f"{USERS}/{tenant.tenant_id}")
    assert await world.audit(tenant) == before


async def test_J2_U5_an_administrator_sets_the_media_types_to_choose_from(world: World, tenant: Tenant) -> None:
    saved = await tenant.job(media_types=["email"])
    shown = (await tenant.client.get("/api/v1/tenant")).json()
    assert (shown["id"], shown["name"]) == (str(tenant.tenant_id), tenant.name)
    answer = await tenant.client.patch("/api/v1/tenant", json={"media_types": ["chat", "fax"]})
    assert answer.status_code == 200, answer.text
    assert answer.json() == shown | {"media_types": ["chat", "fax"]}
    offered = (await tenant.client.get("/api/v1/sources")).json()["items"][0]["types"][0]["media_types"]
    assert [each["id"] for each in offered] == ["chat", "fax"]
    assert (await tenant.client.get(f"/api/v1/jobs/{saved['id']}")).json()["media_types"] == ["email"]
    entry = (await tenant.client.get("/api/v1/audit", params={"action": "tenant.edit"})).json()["items"][0]
    assert (entry["before"], entry["after"]) == (
        {"media_types": shown["media_types"]},
        {"media_types": ["chat", "fax"]},
    )


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["media_types"]),
        ({"media_types": []}, ["media_types"]),
        ({"media_types": ["chat", "chat"]}, ["media_types"]),
        ({"media_types": ["chat", " fax", ""]}, ["media_types.1", "media_types.2"]),
        ({"media_types": ["chat"], "source_tenant": 7}, ["source_tenant"]),
    ],
)
async def test_I2_invalid_media_types_are_refused_by_field(
    tenant: Tenant, body: dict[str, Any], named: list[str]
) -> None:
    answer = await tenant.client.patch("/api/v1/tenant", json=body)
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == named
