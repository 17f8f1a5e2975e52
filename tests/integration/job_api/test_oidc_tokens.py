"""U1: an identity provider's tokens are accepted as well as API keys, and no others; the clock stands still."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from joserfc.jwk import ECKey, OctKey, RSAKey

from job_api.app import create_web_app
from shared.events import IdentitySaved
from shared.events.values import Role
from shared.lifecycle import Health
from shared.oidc_access import OidcAccess
from shared.oidc_issuer import EXPIRE_AFTER, MIN_INTERVAL, REFRESH_AFTER, REFRESH_BURST, OidcIssuer
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
class OidcSetup:
    """The API with an issuer, and the claims of a tenant."""

    world: World
    tenant: Tenant
    issuer: TestIssuer
    app: FastAPI
    claims: dict[str, Any] = field(default_factory=dict)

    def client(self, token: str) -> httpx.AsyncClient:
        """Return a client with a bearer token."""
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), base_url="http://sluice.test", headers=headers
        )

    async def get(self, path: str = "/api/v1/jobs", **changes: Any) -> httpx.Response:
        """Send a request with a valid token, with changed claims."""
        async with self.client(self.issuer.token(self.world.clock.at, **(self.claims | changes))) as client:
            return await client.get(path)


@pytest.fixture
def issuer(world: World) -> Iterator[TestIssuer]:
    with run_issuer(lambda: world.clock.at) as issuer:
        yield issuer


@pytest.fixture
async def setup(world: World, tenant: Tenant, issuer: TestIssuer) -> AsyncIterator[OidcSetup]:
    async with OidcIssuer.open(access(issuer), world.clock) as opened:
        app = create_web_app(world.pools, clock=world.clock, health=Health(), issuer=opened)
        claims = {"https://acme.test/tenant": str(tenant.tenant_id), "realm": {"roles": ["sluice-operators", "x"]}}
        yield OidcSetup(world, tenant, issuer, app, claims)


async def test_U1_a_valid_token_has_the_roles_and_tenant_of_its_claims(setup: OidcSetup) -> None:
    me = (await setup.get("/api/v1/me")).json()
    assert (me["name"], me["roles"], me["tenant_id"]) == ("u-4711", ["operator"], str(setup.tenant.tenant_id))
    again = (await setup.get("/api/v1/me", aud=["another", "sluice-too"], realm={"roles": "sluice-readers y"})).json()
    assert (again["user_id"], again["roles"]) == (me["user_id"], ["viewer"])
    assert (await setup.get("/api/v1/jobs", realm={"roles": ["sluice-admins"]})).status_code == 200
    assert setup.issuer.key_requests == 1


async def test_U1_a_token_not_issued_for_this_service_and_time_is_refused(setup: OidcSetup) -> None:
    for name, forge in FORGED_TOKENS.items():
        token = forge(setup.issuer, setup.world.clock.at, setup.claims)
        async with setup.client(token) as client:
            answer = await client.get("/api/v1/me")
        assert answer.status_code == 401, name
        assert answer.json()["type"].endswith("/unauthenticated")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert token not in answer.text


async def test_U1_clocks_may_differ_by_the_leeway(setup: OidcSetup) -> None:
    late, early = timedelta(seconds=-59), timedelta(seconds=59)
    for claims in ({"exp": late}, {"nbf": early}, {"iat": early}, {"iat": None, "nbf": None}):
        async with setup.client(with_claims(**claims)(setup.issuer, setup.world.clock.at, setup.claims)) as client:
            assert (await client.get("/api/v1/me")).status_code == 200, claims


async def test_U2_without_a_role_claim_access_is_denied(setup: OidcSetup) -> None:
    without: list[Any] = [None, {}, {"roles": []}, {"roles": ["unheard-of", 7]}, {"roles": {"admin": True}}, "admin"]
    for roles in without:
        answer = await setup.get(realm=roles)
        assert answer.status_code == 403, roles
        assert answer.json()["type"].endswith("/access-denied")


async def test_U3_an_unknown_tenant_is_refused(setup: OidcSetup) -> None:
    strange: list[Any] = [None, str(uuid4()), "Acme", 7, [str(setup.tenant.tenant_id)]]
    for tenant in strange:
        claims: dict[str, Any] = {"https://acme.test/tenant": tenant}
        answer = await setup.get(**claims)
        assert answer.status_code == 403, tenant
        assert answer.json()["type"].endswith("/unknown-tenant")


async def test_U3_a_token_of_another_tenant_sees_that_tenants_objects_only(setup: OidcSetup) -> None:
    other = await setup.world.tenant()
    job = await setup.tenant.job()
    answer = await setup.get(f"/api/v1/jobs/{job['id']}", **{"https://acme.test/tenant": str(other.tenant_id)})
    assert answer.status_code == 404
    assert (await setup.get(f"/api/v1/jobs/{job['id']}")).status_code == 200
    ids = {
        (await setup.get("/api/v1/me", **{"https://acme.test/tenant": str(each.tenant_id)})).json()["user_id"]
        for each in (other, setup.tenant)
    }
    assert len(ids) == 2, "one subject in two tenants is two users"


async def test_U1_claim_values_can_be_translated_to_tenants(world: World, tenant: Tenant, issuer: TestIssuer) -> None:
    meant = access(issuer, tenant_claim="org", tenants={"acme": tenant.tenant_id}, roles_claim="roles", roles={})
    async with OidcIssuer.open(meant, world.clock) as opened:
        app = create_web_app(world.pools, clock=world.clock, health=Health(), issuer=opened)
        setup = OidcSetup(world, tenant, issuer, app, {"org": "acme", "roles": ["viewer"]})
        assert (await setup.get()).status_code == 200
        assert (await setup.get(org=str(tenant.tenant_id))).status_code == 403, "only tenants in the mapping"


async def test_U5_the_audit_trail_names_a_user_of_the_issuer_by_subject(setup: OidcSetup) -> None:
    async with setup.client(setup.issuer.token(NOW, **setup.claims)) as client:
        headers = {"Idempotency-Key": "k"}
        made = [await client.post("/api/v1/jobs", json=draft(), headers=headers) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json()["id"] == made[1].json()["id"]
    entries = (await setup.tenant.client.get("/api/v1/audit")).json()["items"]
    found = [(entry["actor"], entry["action"]) for entry in entries if entry["actor"] == "u-4711"]
    assert found == [("u-4711", "job.create"), ("u-4711", "user.create")]


async def user_of(setup: OidcSetup) -> dict[str, Any]:
    users = (await setup.tenant.client.get("/api/v1/users")).json()["items"]
    found: dict[str, Any] = next(user for user in users if user["name"] == "u-4711")
    return found


async def test_U1_a_user_of_the_issuer_can_be_disabled_and_history_learns_of_it(setup: OidcSetup) -> None:
    assert (await setup.get()).status_code == 200
    user = await user_of(setup)
    assert user["issuer"] == setup.issuer.url
    for disabled, status in ((True, 401), (False, 200)):
        answer = await setup.tenant.client.patch(f"/api/v1/users/{user['id']}", json={"disabled": disabled})
        assert answer.status_code == 200, answer.text
        # The application with the issuer stands for another process, which may have the user cached for a moment.
        await setup.world.clock.sleep(2)
        assert (await setup.get()).status_code == status
        saved = [event for event in await setup.world.events() if isinstance(event, IdentitySaved)][-1]
        assert (saved.identity_id, saved.revoked, saved.roles) == (UUID(user["id"]), disabled, ())


async def test_U1_an_issuers_user_has_no_password_here_and_the_issuers_roles(setup: OidcSetup) -> None:
    await setup.get()
    user = await user_of(setup)
    for body in ({"roles": ["admin"]}, {"password": "correct horse battery"}):
        answer = await setup.tenant.client.patch(f"/api/v1/users/{user['id']}", json=body)
        assert answer.status_code == 422
        assert [fault["field"] for fault in answer.json()["errors"]] == list(body)
    for password in ("", "x" * 10):
        login = {"user": "u-4711", "password": password or " "}
        assert (await setup.world.client().post("/api/v1/session", json=login)).status_code == 401


async def test_U1_a_local_user_of_the_same_name_is_another_user(setup: OidcSetup) -> None:
    body = {"name": "u-4711", "roles": ["viewer"], "password": "correct horse battery"}
    local = (await setup.tenant.client.post("/api/v1/users", json=body)).json()
    assert (await setup.get("/api/v1/me")).json()["user_id"] != local["id"]
    again = await setup.tenant.client.post("/api/v1/users", json=body | {"name": "U-4711"})
    assert again.status_code == 409
    login = {"user": "u-4711", "password": "correct horse battery"}
    session = await setup.world.client().post("/api/v1/session", json=login)
    assert session.json()["user_id"] == local["id"]


async def test_U1_an_administrator_of_the_issuer_can_create_keys(setup: OidcSetup) -> None:
    async with setup.client(
        setup.issuer.token(NOW, **(setup.claims | {"realm": {"roles": ["sluice-admins"]}}))
    ) as admin:
        made = await admin.post("/api/v1/keys", json={"name": "loader", "roles": ["viewer"]})
    assert made.status_code == 201, made.text
    assert (await setup.world.client(made.json()["token"]).get("/api/v1/jobs")).status_code == 200


async def test_U1_new_keys_are_read_when_a_token_names_one_but_not_for_every_forged_token(setup: OidcSetup) -> None:
    assert (await setup.get()).status_code == 200
    old = setup.issuer.token(NOW, **setup.claims)
    for _ in range(3):
        setup.issuer.rotate()
        assert (await setup.get()).status_code == 200, "however soon a rotation follows another"
    assert setup.issuer.key_requests == 4
    async with setup.client(old) as client:
        assert (await client.get("/api/v1/me")).status_code == 401, "a key that was withdrawn"
    for number in range(20):
        async with setup.client(setup.issuer.sign({}, kid=f"made up {number}")) as client:
            assert (await client.get("/api/v1/me")).status_code == 401
    assert setup.issuer.key_requests == REFRESH_BURST
    assert (await setup.get()).status_code == 200, "known keys need no request"
    await setup.world.clock.sleep(MIN_INTERVAL.total_seconds())
    for number in range(20):
        async with setup.client(setup.issuer.sign({}, kid=f"made up {number}")) as client:
            await client.get("/api/v1/me")
    assert setup.issuer.key_requests == REFRESH_BURST + 1


@pytest.mark.parametrize("published", [{}, {"first": OctKey.generate_key(256)}], ids=["empty", "nothing usable"])
async def test_U1_a_key_set_without_usable_keys_drops_no_known_key(setup: OidcSetup, published: Any) -> None:
    assert (await setup.get()).status_code == 200
    known = setup.issuer.keys
    setup.issuer.keys = published
    await setup.world.clock.sleep(REFRESH_AFTER.total_seconds())
    assert (await setup.get()).status_code == 200
    await eventually(lambda: setup.issuer.key_requests == 2)
    assert (await setup.get()).status_code == 200
    async with setup.client(setup.issuer.sign({}, kid="another")) as client:
        assert (await client.get("/api/v1/me")).status_code == 503, "it may be a new key of the issuer"
    setup.issuer.keys = known
    await setup.world.clock.sleep(MIN_INTERVAL.total_seconds())
    assert (await setup.get()).status_code == 200


async def test_U1_keys_without_an_id_are_tried_and_read_again_when_none_fits(setup: OidcSetup) -> None:
    setup.issuer.names_keys = False
    setup.issuer.keys["second"] = ECKey.generate_key("P-256")
    setup.issuer.keys["third"] = RSAKey.generate_key(2048)
    assert (await setup.get()).status_code == 200
    setup.issuer.private = setup.issuer.keys["third"]
    assert (await setup.get()).status_code == 200, "the last of the published keys"
    async with setup.client(setup.issuer.sign({"sub": "x"}, kid="named all the same")) as client:
        assert (await client.get("/api/v1/me")).status_code == 401, "its claims are wrong, its signature is not"
    setup.issuer.rotate()
    assert (await setup.get()).status_code == 200
    stranger = RSAKey.generate_key(2048)
    setup.issuer.private = stranger
    assert (await setup.get()).status_code == 401


async def test_U1_keys_are_read_again_when_they_are_old(setup: OidcSetup) -> None:
    assert (await setup.get()).status_code == 200
    await setup.world.clock.sleep(REFRESH_AFTER.total_seconds())
    assert (await setup.get()).status_code == 200
    await eventually(lambda: setup.issuer.key_requests == 2)


async def test_U1_while_the_issuer_is_unavailable_known_keys_stay_valid_and_unknown_ones_give_503(
    setup: OidcSetup,
) -> None:
    setup.issuer.answering = False
    never = await setup.get()
    assert never.status_code == 503
    assert never.json()["type"].endswith("/unavailable")
    assert int(never.headers["retry-after"]) >= 1
    setup.issuer.answering = True
    await setup.world.clock.sleep(MIN_INTERVAL.total_seconds())
    assert (await setup.get()).status_code == 200
    setup.issuer.answering = False
    await setup.world.clock.sleep(EXPIRE_AFTER.total_seconds() - 1)
    assert (await setup.get()).status_code == 200
    setup.issuer.rotate()
    await setup.world.clock.sleep(0.5)
    unknown = await setup.get()
    assert unknown.status_code == 503, "it may be a new key of the issuer"
    await setup.world.clock.sleep(MIN_INTERVAL.total_seconds())
    assert (await setup.get()).status_code == 503
    assert (await setup.tenant.client.get("/api/v1/jobs")).status_code == 200, "our own keys need no issuer"


async def test_U1_an_issuer_with_another_identifier_is_not_trusted(
    world: World, tenant: Tenant, issuer: TestIssuer
) -> None:
    async with OidcIssuer.open(access(issuer, issuer=f"{issuer.url}/"), world.clock) as opened:
        app = create_web_app(world.pools, clock=world.clock, health=Health(), issuer=opened)
        setup = OidcSetup(world, tenant, issuer, app, {})
        assert (await setup.get()).status_code == 503
        assert issuer.key_requests == 0
