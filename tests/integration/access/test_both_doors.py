"""U1 at both doors, the job API's and history's, as real processes: who is let in, and how soon no more.

Nothing is measured: a fact must hold within the time that is promised, five seconds, and a while for a busy machine.
"""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from shared.postgres import migrate
from tests.integration.job_api.test_process import bootstrap
from tests.support.forging import FORGED_TOKENS
from tests.support.issuer import AUDIENCE, TestIssuer, run_issuer
from tests.support.system import Service, System
from tests.support.wait import eventually

PROMISED = 5.0
SLACK = 10.0
"""For a machine that runs much else; what is lost or kept for minutes does not pass."""
DOORS = ("/api/v1/jobs", "/api/v1/runs")
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Doors:
    """Both services, a tenant's administrator, and an issuer that both believe."""

    job_api: Service
    history: Service
    issuer: TestIssuer
    tenant: dict[str, str]
    admin: httpx.AsyncClient

    async def asked(self, **headers: str) -> list[int]:
        """Return what each door answers to these headers, each asked at its own process."""
        async with httpx.AsyncClient(headers=headers, timeout=20) as client:
            jobs = await client.get(f"{self.job_api.url}/api/v1/jobs")
            runs = await client.get(f"{self.history.url}/api/v1/runs")
        return [jobs.status_code, runs.status_code]

    def token(self, **changes: Any) -> dict[str, str]:
        """Return the headers of a token of the issuer, for the tenant."""
        claims = {"tenant": self.tenant["tenant_id"], "roles": ["operator"]} | changes
        return {"Authorization": f"Bearer {self.issuer.token(datetime.now(UTC), **claims)}"}

    async def become(self, wanted: list[int], headers: dict[str, str], within: float = PROMISED + SLACK) -> None:
        """Wait until the doors answer so."""

        async def so() -> bool:
            found = await self.asked(**headers)
            assert found == wanted, found
            return True

        await eventually(so, timeout=within)


@pytest.fixture(scope="module")
def issuer() -> Iterator[TestIssuer]:
    with run_issuer(lambda: datetime.now(UTC)) as issuer:
        yield issuer


@pytest.fixture(scope="module")
async def doors(system: System, issuer: TestIssuer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    for package in ("job_api", "history"):
        await migrate(system.dsn(package), package)
    oidc = {"SLUICE_OIDC_ISSUER": issuer.url, "SLUICE_OIDC_AUDIENCE": AUDIENCE}
    store = {"STORE": tmp_path_factory.mktemp("store").as_uri()}
    job_api = system.start("job_api", "api", oidc)
    recorder = system.start("history", "recorder", store)
    history = system.start("history", "api", oidc | store)
    for service in (job_api, recorder, history):
        await service.ready()
    tenant = await bootstrap(system, "Acme")
    bearer = {"Authorization": f"Bearer {tenant['api_key']}"}
    async with httpx.AsyncClient(base_url=job_api.url, headers=bearer, timeout=20) as admin:
        made = Doors(job_api, history, issuer, tenant, admin)
        await made.become([200, 200], bearer, within=60)
        yield made


async def user(doors: Doors, name: str) -> dict[str, Any]:
    body = {"name": name, "roles": ["operator"], "password": "correct horse battery"}
    answer = await doors.admin.post("/api/v1/users", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def session(doors: Doors, name: str) -> dict[str, str]:
    """Log in, and wait until both doors know the session."""
    async with httpx.AsyncClient(base_url=doors.job_api.url) as client:
        login = await client.post("/api/v1/session", json={"user": name, "password": "correct horse battery"})
        assert login.status_code == 201, login.text
        headers = {"Cookie": f"sluice_session={client.cookies['sluice_session']}"}
    await doors.become([200, 200], headers, within=60)
    return headers


async def test_U1_a_token_of_the_issuer_opens_both_doors(doors: Doors) -> None:
    assert await doors.asked(**doors.token()) == [200, 200]
    assert await doors.asked(**doors.token(aud=["another", AUDIENCE], roles="viewer more")) == [200, 200]


async def test_U1_what_the_issuer_did_not_say_of_now_and_us_is_refused_at_both_doors(doors: Doors) -> None:
    claims = {"tenant": doors.tenant["tenant_id"], "roles": ["operator"]}
    for name, forge in FORGED_TOKENS.items():
        token = forge(doors.issuer, datetime.now(UTC), claims)
        assert await doors.asked(Authorization=f"Bearer {token}") == [401, 401], name


async def test_U2_U3_without_a_role_or_with_a_foreign_tenant_both_doors_deny_access(doors: Doors) -> None:
    for changes in ({"roles": None}, {"roles": ["unheard-of"]}, {"tenant": None}, {"tenant": "elsewhere"}):
        assert await doors.asked(**doors.token(**changes)) == [403, 403], changes
    foreign = "0192f0c1-7b1e-7000-8000-000000000000"
    assert await doors.asked(**doors.token(tenant=foreign)) == [403, 403]


async def test_U1_an_api_key_that_is_revoked_opens_no_door_within_five_seconds(doors: Doors) -> None:
    made = (await doors.admin.post("/api/v1/keys", json={"name": "loader", "roles": ["operator"]})).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    await doors.become([200, 200], headers, within=60)
    assert (await doors.admin.delete(f"/api/v1/keys/{made['id']}")).status_code == 204
    await doors.become([401, 401], headers)


async def test_U1_a_user_who_is_shut_out_opens_no_door_within_five_seconds(doors: Doors) -> None:
    ben = await user(doors, "ben")
    headers = await session(doors, "ben")
    answer = await doors.admin.patch(f"/api/v1/users/{ben['id']}", json={"disabled": True})
    assert answer.status_code == 200
    await doors.become([401, 401], headers)


async def test_U2_a_user_who_loses_a_role_loses_it_at_both_doors_within_five_seconds(doors: Doors) -> None:
    cem = await user(doors, "cem")
    headers = await session(doors, "cem")
    for roles, wanted in ((["downloader"], [403, 200]), ([], [403, 403]), (["viewer"], [200, 200])):
        await doors.admin.patch(f"/api/v1/users/{cem['id']}", json={"roles": roles})
        await doors.become(wanted, headers)


async def test_U1_who_logs_out_is_out_at_both_doors_within_five_seconds(doors: Doors) -> None:
    await user(doors, "dea")
    headers = await session(doors, "dea")
    async with httpx.AsyncClient(base_url=doors.job_api.url, headers=headers | SAME_SITE) as client:
        assert (await client.delete("/api/v1/session")).status_code == 204
    await doors.become([401, 401], headers)


async def test_U1_a_user_of_the_issuer_who_is_shut_out_here_opens_no_door_within_five_seconds(doors: Doors) -> None:
    headers = doors.token(sub="u-shut-out")
    assert await doors.asked(**headers) == [200, 200]
    listed = (await doors.admin.get("/api/v1/users")).json()["items"]
    eve = next(each for each in listed if each["name"] == "u-shut-out")
    await doors.admin.patch(f"/api/v1/users/{eve['id']}", json={"disabled": True})
    await doors.become([401, 401], headers)
    await doors.admin.patch(f"/api/v1/users/{eve['id']}", json={"disabled": False})
    await doors.become([200, 200], headers)


async def test_U1_keys_of_the_issuer_that_change_are_read_again_and_outlast_its_absence(doors: Doors) -> None:
    old = doors.token()
    assert await doors.asked(**old) == [200, 200]
    doors.issuer.rotate()
    new = doors.token()
    # Asked a moment ago, each service asks again after ten seconds at most.
    await doors.become([200, 200], new, within=60)
    assert await doors.asked(**old) == [401, 401]
    doors.issuer.answering = False
    try:
        assert await doors.asked(**doors.token()) == [200, 200]
        doors.issuer.rotate()
        await doors.become([503, 503], doors.token(), within=60)
        async with httpx.AsyncClient(headers=doors.token()) as client:
            for service, path in zip((doors.job_api, doors.history), DOORS, strict=True):
                answer = await client.get(service.url + path)
                assert (answer.status_code, int(answer.headers["retry-after"]) >= 1) == (503, True)
                assert answer.json()["type"].endswith("/unavailable")
    finally:
        doors.issuer.answering = True
    await doors.become([200, 200], doors.token(), within=60)
