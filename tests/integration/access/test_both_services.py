"""U1 at both services, the job API and history, as real processes: who has access, and how soon it ends.

No time is measured: a change must take effect within the five seconds promised, plus slack for a busy machine.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.job_api.test_process import bootstrap
from tests.support.forging import FORGED_TOKENS
from tests.support.issuer import AUDIENCE, TestIssuer, run_issuer
from tests.support.system import Service, System
from tests.support.wait import eventually

PROMISED = 5.0
ANSWERED = 45.0
"""Seconds within which a request is answered while history is frozen: 15 promised, and slack for a busy machine."""
SLACK = 10.0
"""Seconds for a busy machine. A change that takes minutes fails."""
PATHS = ("/api/v1/jobs", "/api/v1/runs")
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Services:
    """Both services, a tenant's administrator, and an issuer that both trust."""

    job_api: Service
    history: Service
    issuer: TestIssuer
    tenant: dict[str, str]
    admin: httpx.AsyncClient

    async def fetch_statuses(self, **headers: str) -> list[int]:
        """Return the status that each service answers to these headers."""
        async with httpx.AsyncClient(headers=headers, timeout=20) as client:
            jobs = await client.get(f"{self.job_api.url}/api/v1/jobs")
            runs = await client.get(f"{self.history.url}/api/v1/runs")
        return [jobs.status_code, runs.status_code]

    def token(self, **changes: Any) -> dict[str, str]:
        """Return the headers of a token of the issuer, for the tenant."""
        claims = {"tenant": self.tenant["tenant_id"], "roles": ["operator"]} | changes
        return {"Authorization": f"Bearer {self.issuer.token(datetime.now(UTC), **claims)}"}

    async def wait_for(self, wanted: list[int], headers: dict[str, str], within: float = PROMISED + SLACK) -> None:
        """Wait until the services response with these statuses."""

        async def reached() -> bool:
            found = await self.fetch_statuses(**headers)
            assert found == wanted, found
            return True

        await eventually(reached, timeout=within)


@pytest.fixture(scope="module")
def issuer() -> Iterator[TestIssuer]:
    with run_issuer(lambda: datetime.now(UTC)) as issuer:
        yield issuer


@pytest.fixture(scope="module")
async def services(
    system: System, issuer: TestIssuer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Services]:
    oidc = {"SLUICE_OIDC_ISSUER": issuer.url, "SLUICE_OIDC_AUDIENCE": AUDIENCE}
    store = {"STORE": tmp_path_factory.mktemp("store").as_uri()}
    recorder = system.start("history", "recorder", store)
    history = system.start("history", "api", oidc | store)
    job_api = system.start("job_api", "api", oidc | {"HISTORY_URL": history.url})
    for service in (job_api, recorder, history):
        await service.wait_ready()
    tenant = await bootstrap(system, "Acme")
    bearer = {"Authorization": f"Bearer {tenant['api_key']}"}
    async with httpx.AsyncClient(base_url=job_api.url, headers=bearer, timeout=20) as admin:
        created = Services(job_api, history, issuer, tenant, admin)
        await created.wait_for([200, 200], bearer, within=60)
        yield created


async def create_user(services: Services, name: str) -> dict[str, Any]:
    body = {"name": name, "roles": ["operator"], "password": "correct horse battery"}
    response = await services.admin.post("/api/v1/users", json=body)
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


async def log_in(services: Services, name: str) -> dict[str, str]:
    """Log in, and wait until both services know the session."""
    async with httpx.AsyncClient(base_url=services.job_api.url) as client:
        login = await client.post("/api/v1/session", json={"user": name, "password": "correct horse battery"})
        assert login.status_code == 201, login.text
        headers = {"Cookie": f"sluice_session={client.cookies['sluice_session']}"}
    await services.wait_for([200, 200], headers, within=60)
    return headers


async def test_U1_a_token_of_the_issuer_gives_access_to_both_services(services: Services) -> None:
    assert await services.fetch_statuses(**services.token()) == [200, 200]
    assert await services.fetch_statuses(**services.token(aud=["another", AUDIENCE], roles="viewer more")) == [200, 200]


async def test_U1_a_token_that_the_issuer_did_not_issue_for_now_and_for_us_is_invalid_at_both_services(
    services: Services,
) -> None:
    claims = {"tenant": services.tenant["tenant_id"], "roles": ["operator"]}
    for name, forge in FORGED_TOKENS.items():
        token = forge(services.issuer, datetime.now(UTC), claims)
        assert await services.fetch_statuses(Authorization=f"Bearer {token}") == [401, 401], name


async def test_U2_U3_without_a_role_or_with_a_foreign_tenant_both_services_deny_access(services: Services) -> None:
    for changes in ({"roles": None}, {"roles": ["unheard-of"]}, {"tenant": None}, {"tenant": "elsewhere"}):
        assert await services.fetch_statuses(**services.token(**changes)) == [403, 403], changes
    foreign = "0192f0c1-7b1e-7000-8000-000000000000"
    assert await services.fetch_statuses(**services.token(tenant=foreign)) == [403, 403]


async def test_U1_a_revoked_api_key_is_invalid_within_five_seconds(services: Services) -> None:
    created = (await services.admin.post("/api/v1/keys", json={"name": "loader", "roles": ["operator"]})).json()
    headers = {"Authorization": f"Bearer {created['token']}"}
    await services.wait_for([200, 200], headers, within=60)
    assert (await services.admin.delete(f"/api/v1/keys/{created['id']}")).status_code == 204
    await services.wait_for([401, 401], headers)


async def test_U1_the_session_of_a_disabled_user_is_invalid_within_five_seconds(services: Services) -> None:
    ben = await create_user(services, "ben")
    headers = await log_in(services, "ben")
    response = await services.admin.patch(f"/api/v1/users/{ben['id']}", json={"disabled": True})
    assert response.status_code == 200
    await services.wait_for([401, 401], headers)


async def test_U2_a_user_loses_a_role_at_both_services_within_five_seconds(services: Services) -> None:
    cem = await create_user(services, "cem")
    headers = await log_in(services, "cem")
    for roles, wanted in ((["downloader"], [403, 200]), ([], [403, 403]), (["viewer"], [200, 200])):
        await services.admin.patch(f"/api/v1/users/{cem['id']}", json={"roles": roles})
        await services.wait_for(wanted, headers)


async def test_U1_a_session_ends_at_both_services_within_five_seconds_of_the_logout(services: Services) -> None:
    await create_user(services, "dea")
    headers = await log_in(services, "dea")
    async with httpx.AsyncClient(base_url=services.job_api.url, headers=headers | SAME_SITE) as client:
        assert (await client.delete("/api/v1/session")).status_code == 204
    await services.wait_for([401, 401], headers)


async def test_U1_the_token_of_a_user_of_the_issuer_who_is_disabled_here_is_invalid_within_five_seconds(
    services: Services,
) -> None:
    headers = services.token(sub="u-disabled")
    assert await services.fetch_statuses(**headers) == [200, 200]
    listed = (await services.admin.get("/api/v1/users")).json()["items"]
    eve = next(each for each in listed if each["name"] == "u-disabled")
    await services.admin.patch(f"/api/v1/users/{eve['id']}", json={"disabled": True})
    await services.wait_for([401, 401], headers)
    await services.admin.patch(f"/api/v1/users/{eve['id']}", json={"disabled": False})
    await services.wait_for([200, 200], headers)


async def test_U1_changed_keys_of_the_issuer_are_fetched_again_and_kept_while_it_is_unavailable(
    services: Services,
) -> None:
    old = services.token()
    assert await services.fetch_statuses(**old) == [200, 200]
    services.issuer.rotate()
    new = services.token()
    # Each service has just fetched the keys, and fetches them again after at most ten seconds.
    await services.wait_for([200, 200], new, within=60)
    assert await services.fetch_statuses(**old) == [401, 401]
    services.issuer.answering = False
    try:
        assert await services.fetch_statuses(**services.token()) == [200, 200]
        services.issuer.rotate()
        await services.wait_for([503, 503], services.token(), within=60)
        async with httpx.AsyncClient(headers=services.token()) as client:
            for service, path in zip((services.job_api, services.history), PATHS, strict=True):
                response = await client.get(service.url + path)
                assert (response.status_code, int(response.headers["retry-after"]) >= 1) == (503, True)
                assert response.json()["type"].endswith("/unavailable")
    finally:
        services.issuer.answering = True
    await services.wait_for([200, 200], services.token(), within=60)


async def send_body_without_token(method: str, url: str, chunks: int) -> int:
    """Send a body of so many MiB without a token, as far as it is accepted; return the status of the answer."""

    async def body() -> AsyncIterator[bytes]:
        for _ in range(chunks):
            yield bytes(1 << 20)

    async with httpx.AsyncClient(timeout=60) as client:
        sent = await client.request(method, url, content=body(), headers={"Content-Type": "application/json"})
    return sent.status_code


async def test_U1_a_large_body_without_a_token_costs_neither_service_memory(services: Services) -> None:
    """300 MiB of a stranger: identity first, so nothing of it is kept, at both services and through job-api."""
    both = (services.job_api, services.history)
    targets = [("POST", f"{services.job_api.url}/api/v1/jobs")]
    targets += [("PUT", f"{each.url}/api/v1/artifacts/retention") for each in both]
    for method, url in targets:
        assert await send_body_without_token(method, url, 1) == 401
    before = [read_resident_mib(each) for each in both]
    for method, url in targets:
        assert await send_body_without_token(method, url, 300) == 401, url
    grown = [read_resident_mib(each) - was for each, was in zip(both, before, strict=True)]
    assert max(grown) < 100, f"MiB: {grown}"


def read_resident_mib(service: Service) -> float:
    """Return the peak of a process's resident memory."""
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


async def test_U5_one_audit_trail_has_the_actions_of_both_services(services: Services) -> None:
    bearer = {"Authorization": f"Bearer {services.tenant['api_key']}"}
    async with httpx.AsyncClient(base_url=services.history.url, headers=bearer) as history:
        assert (await history.put("/api/v1/artifacts/retention", json={"days": 7})).status_code == 200

    async def entries_of_history() -> list[dict[str, Any]]:
        page = await services.admin.get("/api/v1/audit", params={"service": "history"})
        found: list[dict[str, Any]] = page.json()["items"]
        return found

    (entry,) = await eventually(entries_of_history)
    changed = entry["action"], entry["before"], entry["after"]
    assert changed == ("retention.edit", {"days": 30}, {"days": 7})
    trail = (await services.admin.get("/api/v1/audit")).json()["items"]
    assert {each["service"] for each in trail} == {"job-api", "history"}
    assert entry["actor_id"] in {each["object_id"] for each in trail if each["action"] == "user.create"}


async def test_a_frozen_history_is_answered_with_503_in_bounded_time_and_recovers(services: Services) -> None:
    """Every path that job-api passes on, streams included; what needs no history goes on."""
    run = f"/api/v1/runs/{uuid4()}"
    await create_user(services, "viewer of a frozen history")
    session = await log_in(services, "viewer of a frozen history")
    waits = {
        **{("GET", path): services.admin for path in ("/api/v1/runs", run, "/api/v1/artifacts", "/api/v1/events")},
        ("GET", "/api/v1/artifacts/links/unknown/name"): services.admin,
        ("POST", f"{run}/cancel"): services.admin,
        ("POST", f"/api/v1/jobs/from-run/{uuid4()}"): services.admin,
    }
    services.history.process.pause(paused=True)
    try:
        jobs = await services.admin.get("/api/v1/jobs")
        assert jobs.status_code == 200
        answers = await asyncio.gather(
            *(client.request(method, path, timeout=ANSWERED) for (method, path), client in waits.items())
        )
        for (method, path), answer in zip(waits, answers, strict=True):
            assert answer.status_code == 503, (method, path, answer.text)
            assert answer.json()["type"].endswith("/history-unavailable"), (method, path)
            assert int(answer.headers["retry-after"]) > 0
        async with httpx.AsyncClient(base_url=services.job_api.url, headers=session, timeout=ANSWERED) as browser:
            page = await browser.get("/runs")
        assert (page.status_code, "retry-after" in page.headers) == (503, True)
    finally:
        services.history.process.pause(paused=False)

    async def answers_again() -> bool:
        return (await services.admin.get("/api/v1/runs")).status_code == 200

    await eventually(answers_again, timeout=60)
