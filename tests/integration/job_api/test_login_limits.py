"""Guessing passwords (U4): every answer costs the same work, no spelling opens a second count, and no lockout."""

import httpx
import pytest

import job_api.passwords
from job_api.service.attempts import PER_ACCOUNT
from job_api.service.bootstrap import bootstrap_tenant
from job_api.sessions import DEVICE_COOKIE
from tests.integration.job_api.world import Tenant, World

WRONG = "a wrong password"


class CountingHasher:
    """argon2's own hasher, whose verifications are counted."""

    def __init__(self) -> None:
        self._hasher = job_api.passwords._hasher
        self.hash = self._hasher.hash
        self.verified = 0

    def verify(self, stored: str, password: str) -> bool:
        """Verify as argon2 does, and count."""
        self.verified += 1
        return self._hasher.verify(stored, password)


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> CountingHasher:
    counting = CountingHasher()
    monkeypatch.setattr(job_api.passwords, "_hasher", counting)
    return counting


async def log_in(client: httpx.AsyncClient, user: str, password: str = WRONG, tenant: str | None = None) -> int:
    """Try to log in; return the status."""
    body = {"user": user, "password": password} | ({"tenant": tenant} if tenant else {})
    return (await client.post("/api/v1/session", json=body)).status_code


async def use_up(client: httpx.AsyncClient, user: str) -> None:
    """Guess until the next attempt is refused."""
    for _ in range(PER_ACCOUNT.burst):
        assert await log_in(client, user) == 401
    assert await log_in(client, user) == 429


async def test_U4_every_answer_to_a_login_costs_one_verification(world: World, hasher: CountingHasher) -> None:
    made = [
        await bootstrap_tenant(world.database, world.clock, tenant=name, source_tenant=number, user="shared")
        for number, name in enumerate(("First", "Second", "Third"))
    ]
    alone = await bootstrap_tenant(world.database, world.clock, tenant="Fourth", source_tenant=4, user="alone")
    client = world.client()
    for status, user, password, tenant in (
        (401, "nobody", WRONG, None),
        (401, "alone", WRONG, None),
        (401, "alone", WRONG, "Fourth"),
        (401, "alone", alone["password"], "First"),
        (401, "alone", alone["password"], "no such tenant"),
        (401, "shared", WRONG, None),
        (401, "shared", made[1]["password"], None),
        (401, "shared", WRONG, "Second"),
        (201, "shared", made[1]["password"], "Second"),
        (201, "alone", alone["password"], None),
    ):
        before = hasher.verified
        assert await log_in(client, user, password, tenant) == status, (user, tenant)
        assert hasher.verified - before == 1, (user, tenant)


@pytest.mark.parametrize("known", [True, False])
async def test_U4_no_spelling_of_a_name_and_no_missing_tenant_opens_a_second_count(world: World, known: bool) -> None:
    made = await bootstrap_tenant(
        world.database, world.clock, tenant="Acme", source_tenant=1, user="İda Straße" if known else "someone else"
    )
    client = world.client()
    spellings = ["İda Straße", "i\u0307da strasse", "I\u0307DA STRASSE"]
    assert await log_in(client, spellings[1], made["password"]) == (201 if known else 401)
    client = world.client()
    for number in range(PER_ACCOUNT.burst - (not known)):
        status = await log_in(client, spellings[number % len(spellings)], tenant="Acme" if number % 2 else None)
        assert status == 401
    for spelling in spellings:
        for tenant in (None, "Acme", "ACME"):
            assert await log_in(client, spelling, made["password"], tenant) == 429


async def test_U4_nobody_locks_another_out(world: World, tenant: Tenant) -> None:
    await use_up(world.client(address="192.0.2.1"), tenant.user)
    assert await log_in(world.client(address="192.0.2.2"), tenant.user, tenant.password) == 201


async def test_U4_the_addresses_of_one_IPv6_network_are_counted_together(world: World, tenant: Tenant) -> None:
    await use_up(world.client(address="2001:db8::1"), tenant.user)
    assert await log_in(world.client(address="2001:db8::ffff:2"), tenant.user, tenant.password) == 429
    assert await log_in(world.client(address="2001:db8:0:1::1"), tenant.user, tenant.password) == 201


async def test_U4_a_browser_that_has_logged_in_before_has_a_count_of_its_own(world: World, tenant: Tenant) -> None:
    browser = world.client()
    assert await log_in(browser, tenant.user, tenant.password) == 201
    cookie = next(each for each in browser.cookies.jar if each.name == DEVICE_COOKIE)
    assert cookie.has_nonstandard_attr("HttpOnly")
    await use_up(world.client(), tenant.user)
    assert await log_in(browser, tenant.user, tenant.password) == 201
    assert cookie.value is not None
    forged = world.client(Cookie=f"{DEVICE_COOKIE}={cookie.value[:-1]}{'0' if cookie.value[-1] != '0' else '1'}")
    assert await log_in(forged, tenant.user, tenant.password) == 429
    await use_up(browser, tenant.user)
    assert await log_in(browser, tenant.user, tenant.password) == 429, "its own count is limited, too"


async def test_U4_a_new_password_ends_what_device_cookies_grant(world: World, tenant: Tenant) -> None:
    browser = world.client()
    assert await log_in(browser, tenant.user, tenant.password) == 201
    body = {"current": tenant.password, "new": "another long password"}
    assert (await tenant.client.put("/api/v1/me/password", json=body)).status_code == 204
    await use_up(world.client(), tenant.user)
    assert await log_in(browser, tenant.user, body["new"]) == 429


async def test_U4_wrong_current_passwords_are_counted_like_logins(world: World, tenant: Tenant) -> None:
    body = {"current": WRONG, "new": "another long password"}
    for _ in range(PER_ACCOUNT.burst):
        assert (await tenant.client.put("/api/v1/me/password", json=body)).status_code == 422
    answer = await tenant.client.put("/api/v1/me/password", json=body | {"current": tenant.password})
    assert answer.status_code == 429
    assert answer.json()["type"].endswith("/too-many-attempts")
    assert await log_in(world.client(), tenant.user, tenant.password) == 429, "and with them"
    assert await log_in(world.client(address="192.0.2.2"), tenant.user, tenant.password) == 201
    elsewhere = world.client(tenant.token, address="192.0.2.3")
    right = body | {"current": tenant.password}
    assert (await elsewhere.put("/api/v1/me/password", json=right)).status_code == 429, "one count for a credential"
    await world.clock.sleep(PER_ACCOUNT.refill_interval.total_seconds())
    assert (await tenant.client.put("/api/v1/me/password", json=right)).status_code == 204
