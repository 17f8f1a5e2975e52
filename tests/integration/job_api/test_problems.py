"""I2: PROBLEMS.md lists each problem type, and each is really returned, with the status listed."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from job_api.app import create_web_app
from job_api.service.attempts import PER_ACCOUNT
from job_api.store.database import Pools
from shared.http.limits import DEFAULT_LIMITS
from shared.http.problems import TYPE_BASE, ProblemType
from shared.lifecycle import Health
from shared.oidc_issuer import OidcIssuer
from shared.postgres import open_pool
from tests.integration.job_api.certs import make_certificate, pem
from tests.integration.job_api.run_events import RunEventBuilder
from tests.integration.job_api.test_oidc_tokens import access
from tests.integration.job_api.test_run_events import apply
from tests.integration.job_api.world import HOURLY, NOW, ONCE_LATER, ONCE_NOW, Tenant, World, draft
from tests.support.issuer import run_issuer

PAGE = Path(__file__).parents[3] / "services" / "job-api" / "PROBLEMS.md"
# The second table is history's, which has a test of its own.
OURS = PAGE.read_text(encoding="utf-8").partition("\n## ")[0]
LISTED = {name: int(status) for name, status in re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", OURS, re.M)}
Scenario = Callable[[World, Tenant], Awaitable[httpx.Response]]
ANY = {"If-Match": "*"}


async def unknown_tenant(world: World, tenant: Tenant) -> httpx.Response:
    with run_issuer(lambda: world.clock.at) as provider:
        async with OidcIssuer.open(access(provider), world.clock) as issuer:
            app = create_web_app(world.pools, clock=world.clock, health=Health(), issuer=issuer)
            bearer = {"Authorization": f"Bearer {provider.token(world.clock.at)}"}
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=bearer) as client:
                return await client.get("/api/v1/jobs")


async def login_failed(world: World, tenant: Tenant) -> httpx.Response:
    return await world.client().post("/api/v1/session", json={"user": tenant.user, "password": "wrong"})


async def access_denied(world: World, tenant: Tenant) -> httpx.Response:
    return await world.client(await tenant.key("viewer")).post("/api/v1/jobs", json=draft())


async def cross_site(world: World, tenant: Tenant) -> httpx.Response:
    client = world.client(None, Cookie=f"sluice_session={tenant.token}")
    return await client.post("/api/v1/jobs", json=draft())


async def run_in_progress(world: World, tenant: Tenant) -> httpx.Response:
    job = await tenant.job(schedule=HOURLY)
    await apply(world, RunEventBuilder(job, tenant.tenant_id).triggered())
    return await tenant.client.delete(f"/api/v1/jobs/{job['id']}", headers=ANY)


def refuse_one_time(command: str, schedule: dict[str, Any]) -> Scenario:
    async def run_scenario(world: World, tenant: Tenant) -> httpx.Response:
        job = await tenant.job(schedule=schedule)
        if command == "edit":
            return await tenant.client.patch(f"/api/v1/jobs/{job['id']}", json={}, headers=ANY)
        return await tenant.client.post(f"/api/v1/jobs/{job['id']}/{command}")

    return run_scenario


async def certificate_exists(world: World, tenant: Tenant) -> httpx.Response:
    body = {"name": "officer", "pem": pem(make_certificate(now=NOW))}
    return await tenant.client.post("/api/v1/certificates", json=body)


async def destination_exists(world: World, tenant: Tenant) -> httpx.Response:
    await tenant.destination(name="Archive")
    body = {"name": " ARCHIVE ", "kind": "s3", "address": {"bucket": "abc", "region": "eu-central-1"}}
    body["credentials"] = {"access_key_id": "AKIA", "secret_access_key": "secret"}
    return await tenant.client.post("/api/v1/destinations", json=body)


async def destination_in_use(world: World, tenant: Tenant) -> httpx.Response:
    destination = await tenant.destination()
    await tenant.job(delivery={"destinations": [destination["id"]]})
    return await tenant.client.delete(f"/api/v1/destinations/{destination['id']}", headers=ANY)


async def delivery_not_available(world: World, tenant: Tenant) -> httpx.Response:
    app = create_web_app(world.pools, clock=world.clock, health=Health())
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://x", headers=tenant.client.headers
    ) as client:
        body = {"name": "a", "kind": "sftp", "address": {"host": "x.test", "user_name": "u"}}
        return await client.post("/api/v1/destinations", json=body | {"credentials": {"password": "p"}})


async def user_exists(world: World, tenant: Tenant) -> httpx.Response:
    return await tenant.client.post("/api/v1/users", json={"name": tenant.user, "roles": []})


async def last_admin(world: World, tenant: Tenant) -> httpx.Response:
    me = (await tenant.client.get("/api/v1/me")).json()["user_id"]
    return await tenant.client.patch(f"/api/v1/users/{me}", json={"disabled": True})


async def idempotency_conflict(world: World, tenant: Tenant) -> httpx.Response:
    headers = {"Idempotency-Key": "k"}
    await tenant.client.post("/api/v1/jobs", json=draft(), headers=headers)
    return await tenant.client.post("/api/v1/jobs", json=draft(title="Other"), headers=headers)


async def lost_update(world: World, tenant: Tenant) -> httpx.Response:
    job = await tenant.job()
    return await tenant.client.delete(f"/api/v1/jobs/{job['id']}", headers={"If-Match": '"9"'})


async def if_match_required(world: World, tenant: Tenant) -> httpx.Response:
    return await tenant.client.delete(f"/api/v1/jobs/{(await tenant.job())['id']}")


async def too_many_requests(world: World, tenant: Tenant) -> httpx.Response:
    for _ in range(DEFAULT_LIMITS.per_identity.burst):
        await tenant.client.get("/api/v1/me")
    return await tenant.client.get("/api/v1/me")


async def too_many_attempts(world: World, tenant: Tenant) -> httpx.Response:
    for _ in range(PER_ACCOUNT.burst):
        await login_failed(world, tenant)
    return await login_failed(world, tenant)


async def internal(world: World, tenant: Tenant) -> httpx.Response:
    # An unexpected error: a missing table.
    await world.admin.execute("ALTER TABLE job_api.job RENAME TO job_lost")
    transport = httpx.ASGITransport(world.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=tenant.client.headers) as client:
        return await client.get("/api/v1/jobs")


async def unavailable(world: World, tenant: Tenant) -> httpx.Response:
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'cut off'"
    async with open_pool(world.dsn, size=2, name="cut off") as pool:
        app = create_web_app(Pools(pool, world.pools.system), clock=world.clock, health=Health())
        await world.admin.execute("ALTER ROLE job_api CONNECTION LIMIT 0")
        await world.admin.execute(cut)
        try:
            headers = tenant.client.headers
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
                return await client.get("/api/v1/jobs")
        finally:
            await world.admin.execute("ALTER ROLE job_api CONNECTION LIMIT -1")


def send(method: str, path: str, **more: Any) -> Scenario:
    async def run_scenario(world: World, tenant: Tenant) -> httpx.Response:
        return await tenant.client.request(method, path, **more)

    return run_scenario


async def unauthenticated(world: World, tenant: Tenant) -> httpx.Response:
    return await world.client().get("/api/v1/jobs")


SCENARIOS: dict[str, Scenario] = {
    "unauthenticated": unauthenticated,
    "login-failed": login_failed,
    "unknown-tenant": unknown_tenant,
    "access-denied": access_denied,
    "cross-site": cross_site,
    "not-found": send("GET", "/api/v1/jobs/0192f0c1-7b1e-7000-8000-000000000000"),
    "method-not-allowed": send("PUT", "/api/v1/me"),
    "run-in-progress": run_in_progress,
    "one-time-not-resumable": refuse_one_time("resume", ONCE_NOW),
    "one-time-not-editable": refuse_one_time("edit", ONCE_LATER),
    "one-time-not-run-now": refuse_one_time("run", ONCE_NOW),
    "certificate-exists": certificate_exists,
    "destination-exists": destination_exists,
    "destination-in-use": destination_in_use,
    "delivery-not-available": delivery_not_available,
    "user-exists": user_exists,
    "last-admin": last_admin,
    "idempotency-conflict": idempotency_conflict,
    "lost-update": lost_update,
    "too-large": send("POST", "/api/v1/jobs", content=bytes(2 << 20)),
    "unsupported-media-type": send("POST", "/api/v1/certificates", content=b"x"),
    "invalid": send("POST", "/api/v1/jobs", json={}),
    "source-not-offered": send("POST", "/api/v1/jobs", json=draft(source="info_mart")),
    "if-match-required": if_match_required,
    "too-many-requests": too_many_requests,
    "too-many-attempts": too_many_attempts,
    "internal": internal,
    "unavailable": unavailable,
    "history-unavailable": send("GET", "/api/v1/runs"),
}


def test_I2_the_page_and_the_scenarios_cover_the_same_problems() -> None:
    assert set(SCENARIOS) == set(LISTED)


def test_I2_the_code_uses_only_problems_that_the_page_lists() -> None:
    root = PAGE.parents[2]
    # The pages answer people: programs do not depend on their problems.
    api = [path for path in (PAGE.parent / "job_api").rglob("*.py") if "pages" not in path.parts]
    used = set()
    for path in [*api, *(root / "shared" / "http").glob("*.py"), root / "shared" / "oidc.py"]:
        text = path.read_text(encoding="utf-8")
        used |= {ProblemType[name].value for name in re.findall(r"\bProblem\(\s*ProblemType\.([A-Z_]+)", text)}
        used |= set(re.findall(r"\b(?:OperationRefused|Refusal)\(\s*\"([a-z-]+)\"", text))
    assert len(used) > 15
    # The unit tests of the server's protocol produce these.
    of_server = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8").rpartition("\n## ")[2], re.M)
    assert used <= {*LISTED, *of_server}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_I2_each_problem_is_produced_as_the_page_says(world: World, tenant: Tenant, name: str) -> None:
    answer = await SCENARIOS[name](world, tenant)
    assert (answer.status_code, answer.json()["type"]) == (LISTED[name], TYPE_BASE + name)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"].startswith("/")
    assert "Traceback" not in answer.text
    if answer.status_code in {429, 503}:
        assert int(answer.headers["retry-after"]) >= 1


async def test_a_read_only_server_and_a_full_disk_are_answered_503_until_they_end(world: World, tenant: Tenant) -> None:
    fill = """CREATE FUNCTION job_api.fill() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = '53100'; END $$"""
    database = world.dsn.rpartition("/")[2]
    faults = [
        (
            f'ALTER DATABASE "{database}" SET default_transaction_read_only = on',
            f'ALTER DATABASE "{database}" RESET default_transaction_read_only',
        ),
        (
            f"{fill}; CREATE TRIGGER fill BEFORE INSERT ON job_api.outbox EXECUTE FUNCTION job_api.fill()",
            "DROP TRIGGER fill ON job_api.outbox",
        ),
    ]
    for begin, end in faults:
        await world.admin.execute(begin)
        await world.pools.tenant.expire_connections()
        refused = await tenant.client.post("/api/v1/jobs", json=draft(title="Waits"))
        assert refused.status_code == 503
        assert refused.headers["Retry-After"].isdecimal()
        assert refused.json()["type"].endswith("/unavailable")
        await world.admin.execute(end)
        # Without a new pool: after such an error, its connections are replaced.
        answer = await tenant.client.post("/api/v1/jobs", json=draft(title="Waits"))
        assert answer.status_code == 201
