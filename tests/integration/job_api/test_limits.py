"""Limits on body size, request rate and login attempts."""

from collections.abc import AsyncIterator

import httpx
import pytest

from job_api.service.attempts import PER_ACCOUNT, PER_ADDRESS
from shared.http.bodies import ANONYMOUS_BODY_MAX, BODY_MAX
from shared.http.limits import DEFAULT_LIMITS
from tests.integration.job_api.world import Tenant, World


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/certificates", "/api/v1/session"])
async def test_a_body_that_is_too_large_is_refused(tenant: Tenant, path: str) -> None:
    async def garbage() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * (1 << 20)

    for content in (b"x" * (BODY_MAX + 1), garbage()):
        answer = await tenant.client.post(path, content=content, headers={"Content-Type": "application/json"})
        assert answer.status_code == 413
        assert answer.json()["type"].endswith("/too-large")


async def test_a_login_form_that_is_too_large_is_refused_before_it_is_parsed(world: World) -> None:
    form = {"user": "ana", "password": "x" * ANONYMOUS_BODY_MAX}
    answer = await world.client().post("/login", data=form)
    assert answer.status_code == 413
    assert "larger than 16 KiB" in answer.text


async def test_U4_no_more_than_16_kib_of_a_stranger_s_form_is_read(world: World) -> None:
    answer = await world.client().post("/jobs/new", content=b"{" * (ANONYMOUS_BODY_MAX + 1))
    assert answer.status_code == 413
    answer = await world.client().post("/jobs/new", data={"title": "x"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/")


async def test_a_login_form_in_any_state_is_no_error_of_ours(world: World) -> None:
    part = b"--b\r\nContent-Disposition: form-data; name=((((\r\n\r\nx\r\n--b--\r\n"
    answer = await world.client().post(
        "/login", content=part, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 422
    assert "This form cannot be read" in answer.text


async def test_C1_ten_megabytes_of_garbage_as_a_certificate_are_refused(tenant: Tenant) -> None:
    files = {"file": ("c.pem", bytes(10 << 20))}
    answer = await tenant.client.post("/api/v1/certificates", data={"name": "big"}, files=files)
    assert answer.status_code == 413


async def test_a_token_above_its_rate_limit_gets_a_retry_after(world: World, tenant: Tenant) -> None:
    client = world.client(await tenant.key("viewer"))
    for _ in range(DEFAULT_LIMITS.per_identity.burst):
        assert (await client.get("/api/v1/me")).status_code == 200
    answer = await client.get("/api/v1/me")
    assert answer.status_code == 429
    assert answer.json()["type"].endswith("/too-many-requests")
    assert answer.headers["retry-after"] == "1"
    assert (await tenant.client.get("/api/v1/me")).status_code == 200, "other tokens are not affected"
    await world.clock.sleep(1)
    for _ in range(int(DEFAULT_LIMITS.per_identity.per_second)):
        assert (await client.get("/api/v1/me")).status_code == 200
    assert (await client.get("/api/v1/me")).status_code == 429


async def attempt(client: httpx.AsyncClient, tenant: Tenant, password: str, user: str | None = None) -> httpx.Response:
    return await client.post("/api/v1/session", json={"user": user or tenant.user, "password": password})


async def test_U4_guessing_at_an_account_is_slowed_down(world: World, tenant: Tenant) -> None:
    client = world.client()
    for _ in range(PER_ACCOUNT.burst):
        assert (await attempt(client, tenant, "wrong")).status_code == 401
    answer = await attempt(client, tenant, tenant.password)
    assert answer.status_code == 429
    assert answer.json()["type"].endswith("/too-many-attempts")
    assert answer.headers["retry-after"] == str(int(PER_ACCOUNT.refill_interval.total_seconds()))
    await world.clock.sleep(int(answer.headers["retry-after"]))
    assert (await attempt(client, tenant, tenant.password)).status_code == 201
    stored = await world.admin.fetchval("SELECT string_agg(each::text, '') FROM job_api.throttle AS each")
    assert tenant.user not in stored


async def test_U4_successful_logins_are_not_counted(world: World, tenant: Tenant) -> None:
    for _ in range(PER_ACCOUNT.burst + 2):
        assert (await attempt(world.client(), tenant, tenant.password)).status_code == 201


async def test_U4_guessing_from_one_address_is_slowed_down_whatever_the_account(world: World, tenant: Tenant) -> None:
    client = world.client()
    for number in range(PER_ADDRESS.burst):
        assert (await attempt(client, tenant, "wrong", f"user {number}")).status_code == 401
    assert (await attempt(client, tenant, "wrong", "another")).status_code == 429
