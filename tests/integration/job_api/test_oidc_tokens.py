"""U1: an identity provider's tokens are taken beside our own, and no others are; time stands still unless moved."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI

from job_api.app import create_web_app
from shared.events import IdentitySaved
from shared.events.values import Role
from shared.lifecycle import Health
from shared.oidc_access import OidcAccess
from shared.oidc_issuer import EXPIRE_AFTER, MIN_INTERVAL, REFRESH_AFTER, OidcIssuer
from tests.integration.job_api.world import NOW, Tenant, World, draft
from tests.support.forging import FORGED_TOKENS, with_claims
from tests.support.issuer import AUDIENCE, TestIssuer, run_issuer
from tests.support.wait import eventually

ROLES: dict[str, Role] = {"sluice-admins": "admin", "sluice-operators": "operator", "sluice-readers": "viewer"}


def access(provider: TestIssuer, **changes: Any) -> OidcAccess:
    given: dict[str, Any] = {
        "issuer": provider.url,
        "audiences": (AUDIENCE, "sluice-too"),
        "roles_claim": "realm.roles",
        "roles": ROLES,
        "tenant_claim": "https://acme.test/tenant",
        "tenants": {},
        "leeway": timedelta(seconds=60),
        "ca_file": None,
    }
    return OidcAccess(**(given | changes))


@dataclass
class Door:
    """The API before an issuer, and a tenant's claims."""

    world: World
    tenant: Tenant
    issuer: TestIssuer
    app: FastAPI
    claims: dict[str, Any] = field(default_factory=dict)

    def client(self, token: str) -> httpx.AsyncClient:
        """Return a client that bears a token."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://sluice.test", headers=headers
        )

    async def get(self, path: str = "/api/v1/jobs", **changes: Any) -> httpx.Response:
        """Ask with a good token, changed."""
        async with self.client(self.issuer.token(self.world.clock.at, **(self.claims | changes))) as client:
            return await client.get(path)


@pytest.fixture
def issuer(world: World) -> Iterator[TestIssuer]:
    with run_issuer(lambda: world.clock.at) as issuer:
        yield issuer


@pytest.fixture
async def door(world: World, tenant: Tenant, issuer: TestIssuer) -> AsyncIterator[Door]:
    async with OidcIssuer.open(access(issuer), world.clock) as opened:
        app = create_web_app(world.pool, clock=world.clock, health=Health(), issuer=opened)
        claims = {"https://acme.test/tenant": str(tenant.tenant_id), "realm": {"roles": ["sluice-operators", "x"]}}
        yield Door(world, tenant, issuer, app, claims)


async def test_U1_a_good_token_is_somebody_with_the_roles_and_tenant_of_its_claims(door: Door) -> None:
    me = (await door.get("/api/v1/me")).json()
    assert (me["name"], me["roles"], me["tenant_id"]) == ("u-4711", ["operator"], str(door.tenant.tenant_id))
    again = (await door.get("/api/v1/me", aud=["another", "sluice-too"], realm={"roles": "sluice-readers y"})).json()
    assert (again["user_id"], again["roles"]) == (me["user_id"], ["viewer"])
    assert (await door.get("/api/v1/jobs", realm={"roles": ["sluice-admins"]})).status_code == 200
    assert door.issuer.key_requests == 1


async def test_U1_what_the_issuer_did_not_say_of_now_and_us_is_refused(door: Door) -> None:
    for name, forge in FORGED_TOKENS.items():
        token = forge(door.issuer, door.world.clock.at, door.claims)
        async with door.client(token) as client:
            answer = await client.get("/api/v1/me")
        assert answer.status_code == 401, name
        assert answer.json()["type"].endswith("/unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert token not in answer.text


async def test_U1_clocks_may_differ_by_the_leeway(door: Door) -> None:
    late, early = timedelta(seconds=-59), timedelta(seconds=59)
    for told in ({"exp": late}, {"nbf": early}, {"iat": early}, {"iat": None, "nbf": None}):
        async with door.client(with_claims(**told)(door.issuer, door.world.clock.at, door.claims)) as client:
            assert (await client.get("/api/v1/me")).status_code == 200, told


async def test_U2_without_a_role_claim_access_is_denied(door: Door) -> None:
    without: list[Any] = [None, {}, {"roles": []}, {"roles": ["unheard-of", 7]}, {"roles": {"admin": True}}, "admin"]
    for roles in without:
        answer = await door.get(realm=roles)
        assert answer.status_code == 403, roles
        assert answer.json()["type"].endswith("/access-denied")


async def test_U3_a_tenant_that_is_not_here_is_refused(door: Door) -> None:
    strange: list[Any] = [None, str(uuid4()), "Acme", 7, [str(door.tenant.tenant_id)]]
    for tenant in strange:
        claims: dict[str, Any] = {"https://acme.test/tenant": tenant}
        answer = await door.get(**claims)
        assert answer.status_code == 403, tenant
        assert answer.json()["type"].endswith("/unknown-tenant")


async def test_U3_a_token_of_another_tenant_sees_that_tenants_things_only(door: Door) -> None:
    other = await door.world.tenant()
    job = await door.tenant.job()
    answer = await door.get(f"/api/v1/jobs/{job['id']}", **{"https://acme.test/tenant": str(other.tenant_id)})
    assert answer.status_code == 404
    assert (await door.get(f"/api/v1/jobs/{job['id']}")).status_code == 200
    ids = {
        (await door.get("/api/v1/me", **{"https://acme.test/tenant": str(each.tenant_id)})).json()["user_id"]
        for each in (other, door.tenant)
    }
    assert len(ids) == 2, "one subject in two tenants is two users"


async def test_U1_claim_values_can_be_translated_to_tenants(world: World, tenant: Tenant, issuer: TestIssuer) -> None:
    meant = access(issuer, tenant_claim="org", tenants={"acme": tenant.tenant_id}, roles_claim="roles", roles={})
    async with OidcIssuer.open(meant, world.clock) as opened:
        app = create_web_app(world.pool, clock=world.clock, health=Health(), issuer=opened)
        door = Door(world, tenant, issuer, app, {"org": "acme", "roles": ["viewer"]})
        assert (await door.get()).status_code == 200
        assert (await door.get(org=str(tenant.tenant_id))).status_code == 403, "only what is in the table"


async def test_U5_what_somebody_of_the_issuer_does_stands_in_the_audit_trail_by_subject(door: Door) -> None:
    async with door.client(door.issuer.token(NOW, **door.claims)) as client:
        headers = {"Idempotency-Key": "k"}
        made = [await client.post("/api/v1/jobs", json=draft(), headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json()["id"] == made[1].json()["id"]
    entries = (await door.tenant.client.get("/api/v1/audit")).json()["items"]
    found = [(entry["actor"], entry["action"]) for entry in entries if entry["actor"] == "u-4711"]
    assert found == [("u-4711", "job.create"), ("u-4711", "user.create")]


async def user_of(door: Door) -> dict[str, Any]:
    users = (await door.tenant.client.get("/api/v1/users")).json()["items"]
    found: dict[str, Any] = next(user for user in users if user["name"] == "u-4711")
    return found


async def test_U1_an_administrator_shuts_a_user_of_the_issuer_out_and_history_is_told(door: Door) -> None:
    assert (await door.get()).status_code == 200
    user = await user_of(door)
    assert user["issuer"] == door.issuer.url
    for disabled, status in ((True, 401), (False, 200)):
        answer = await door.tenant.client.patch(f"/api/v1/users/{user['id']}", json={"disabled": disabled})
        assert answer.status_code == 200, answer.text
        # The application before the issuer is another process's: it may know the user by heart for a moment.
        await door.world.clock.sleep(2)
        assert (await door.get()).status_code == status
        told = [event for event in await door.world.events() if isinstance(event, IdentitySaved)][-1]
        assert (told.identity_id, told.revoked, told.roles) == (UUID(user["id"]), disabled, ())


async def test_U1_an_issuers_user_has_no_password_here_and_the_issuers_roles(door: Door) -> None:
    await door.get()
    user = await user_of(door)
    for body in ({"roles": ["admin"]}, {"password": "correct horse battery"}):
        answer = await door.tenant.client.patch(f"/api/v1/users/{user['id']}", json=body)
        assert answer.status_code == 422
        assert [fault["field"] for fault in answer.json()["errors"]] == list(body)
    for password in ("", "x" * 10):
        login = {"user": "u-4711", "password": password or " "}
        assert (await door.world.client().post("/api/v1/session", json=login)).status_code == 401


async def test_U1_a_local_user_of_the_same_name_is_somebody_else(door: Door) -> None:
    body = {"name": "u-4711", "roles": ["viewer"], "password": "correct horse battery"}
    local = (await door.tenant.client.post("/api/v1/users", json=body)).json()
    assert (await door.get("/api/v1/me")).json()["user_id"] != local["id"]
    again = await door.tenant.client.post("/api/v1/users", json=body | {"name": "U-4711"})
    assert again.status_code == 409
    login = {"user": "u-4711", "password": "correct horse battery"}
    session = await door.world.client().post("/api/v1/session", json=login)
    assert session.json()["user_id"] == local["id"]


async def test_U1_an_administrator_of_the_issuer_can_make_keys(door: Door) -> None:
    async with door.client(door.issuer.token(NOW, **(door.claims | {"realm": {"roles": ["sluice-admins"]}}))) as admin:
        made = await admin.post("/api/v1/keys", json={"name": "loader", "roles": ["viewer"]})
    assert made.status_code == 201, made.text
    assert (await door.world.client(made.json()["token"]).get("/api/v1/jobs")).status_code == 200


async def test_U1_new_keys_are_read_when_a_token_names_one_but_not_at_every_strangers_word(door: Door) -> None:
    assert (await door.get()).status_code == 200
    old = door.issuer.token(NOW, **door.claims)
    door.issuer.rotate()
    assert (await door.get()).status_code == 401, "asked a moment ago"
    await door.world.clock.sleep(MIN_INTERVAL.total_seconds())
    assert (await door.get()).status_code == 200
    assert door.issuer.key_requests == 2
    async with door.client(old) as client:
        assert (await client.get("/api/v1/me")).status_code == 401, "a key that was taken back"
    for number in range(20):
        async with door.client(door.issuer.sign({}, kid=f"made up {number}")) as client:
            assert (await client.get("/api/v1/me")).status_code == 401
    assert door.issuer.key_requests == 2
    await door.world.clock.sleep(MIN_INTERVAL.total_seconds())
    for number in range(20):
        async with door.client(door.issuer.sign({}, kid=f"made up {number}")) as client:
            await client.get("/api/v1/me")
    assert door.issuer.key_requests == 3


async def test_U1_keys_are_read_again_when_they_are_old(door: Door) -> None:
    assert (await door.get()).status_code == 200
    await door.world.clock.sleep(REFRESH_AFTER.total_seconds())
    assert (await door.get()).status_code == 200
    await eventually(lambda: door.issuer.key_requests == 2)


async def test_U1_while_the_issuer_is_away_known_keys_stay_good_and_unknown_ones_wait(door: Door) -> None:
    door.issuer.answering = False
    never = await door.get()
    assert never.status_code == 503
    assert never.json()["type"].endswith("/unavailable")
    assert int(never.headers["retry-after"]) >= 1
    door.issuer.answering = True
    await door.world.clock.sleep(MIN_INTERVAL.total_seconds())
    assert (await door.get()).status_code == 200
    door.issuer.answering = False
    await door.world.clock.sleep(EXPIRE_AFTER.total_seconds() - 1)
    assert (await door.get()).status_code == 200
    door.issuer.rotate()
    await door.world.clock.sleep(0.5)
    unknown = await door.get()
    assert unknown.status_code == 503, "it may be a new key of the issuer's"
    await door.world.clock.sleep(MIN_INTERVAL.total_seconds())
    assert (await door.get()).status_code == 503
    assert (await door.tenant.client.get("/api/v1/jobs")).status_code == 200, "our own keys need no issuer"


async def test_U1_an_issuer_that_calls_itself_otherwise_is_not_believed(
    world: World, tenant: Tenant, issuer: TestIssuer
) -> None:
    async with OidcIssuer.open(access(issuer, issuer=f"{issuer.url}/"), world.clock) as opened:
        app = create_web_app(world.pool, clock=world.clock, health=Health(), issuer=opened)
        door = Door(world, tenant, issuer, app, {})
        assert (await door.get()).status_code == 503
        assert issuer.key_requests == 0
