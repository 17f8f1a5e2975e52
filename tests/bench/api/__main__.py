"""`make bench-api`: the cost of the job API compared with a bare FastAPI route over the same pool, in the same run.

The last line is JSON; every ratio is the median of the trials, the bare route run_trials before and after each.
"""

import argparse
import itertools
import json
import statistics
from pathlib import Path

import asyncpg
import uvloop

from deploy.local.postgres import Postgres
from deploy.local.reaper import Reaper
from job_api.service.bootstrap import bootstrap_tenant
from job_api.store import Database
from job_api.store.database import Pools
from shared.clock import SystemClock
from shared.postgres import migrate
from shared.provision import ProvisionSettings, provision
from tests.bench.api.load import Measured, ask, load, request
from tests.bench.api.server import CONNECTIONS
from tests.bench.api.serving import serving
from tests.bench.catalogue import API
from tests.bench.report import conclude, parse_arguments, print_line
from tests.integration.job_api.world import draft
from tests.support.servers import PASSWORD, PASSWORDS, Databases

PAGE = 50
FILL = """
INSERT INTO job_api.job (
    job_id, tenant_id, version, state, state_reason, title, description, source, type, settings, schedule_kind,
    schedule_start, schedule_immediately, schedule_every, catch_up, overlap, created_at, saved_at, next_run_at
)
SELECT gen_random_uuid(), $1, 1, 'active', NULL, 'Job ' || md5(n::text), '', source, type, settings, schedule_kind,
    schedule_start, schedule_immediately, schedule_every, catch_up, overlap,
    created_at + n * interval '1 second', saved_at, next_run_at + (n % 1000) * interval '1 hour'
FROM job_api.job, generate_series(1, $3) AS n
WHERE job_id = $2
"""


async def create_database(databases: Databases, jobs: int, tenants: int, largest: int = 0) -> tuple[list[str], str]:
    """Create a database with jobs in several tenants; return the DSNs of its roles, and a token of the last tenant.

    The last tenant has `largest` of the jobs, where that is more than an equal share; the others share the rest.
    """
    admin = await databases.create()
    await provision(ProvisionSettings(admin_dsn=admin, **PASSWORDS))
    name = admin.rpartition("/")[2]
    await migrate(databases.owner_dsn(name, "job_api"), "job_api")
    dsns = [databases.dsn(name, role=role, password=PASSWORD) for role in ("job_api", "job_api_system")]
    made: dict[str, str] = {}
    connection = await asyncpg.connect(admin)
    async with Pools.open(*dsns, size=2, name="bench") as pools:
        database = Database(pools)
        share = jobs // tenants if largest * tenants <= jobs else (jobs - largest) // (tenants - 1)
        for number in range(tenants):
            made = await bootstrap_tenant(
                database, SystemClock(), tenant=f"tenant {number}", source_tenant=number, user="ana"
            )
            last = number == tenants - 1
            await insert_jobs(connection, made["tenant_id"], max(share, largest) if last else share)
    await connection.execute("VACUUM ANALYZE job_api.job")
    await connection.close()
    return dsns, made["api_key"]


async def insert_jobs(connection: "asyncpg.Connection[asyncpg.Record]", tenant_id: str, jobs: int) -> None:
    """Insert jobs for a tenant, in the form in which the API stores them."""
    settings = {
        "title": "Job",
        "source": "contact_history",
        "type": "interaction",
        "source_tenant": 1,
        "timeframe": {"kind": "all"},
    }
    first = await connection.fetchval(
        """
        INSERT INTO job_api.job (
            job_id, tenant_id, version, state, title, description, source, type, settings, schedule_kind,
            schedule_start, schedule_immediately, schedule_every, catch_up, overlap, created_at, saved_at, next_run_at
        )
        VALUES (
            gen_random_uuid(), $1, 1, 'active', 'Job', '', 'contact_history', 'interaction', $2::text::jsonb, 'daily',
            now(), false, 1, 'last', 'skip', now() - interval '30 days', now(), now()
        )
        RETURNING job_id
        """,
        tenant_id,
        json.dumps(settings),
    )
    await connection.execute(FILL, tenant_id, first, jobs - 1)


async def run_trial(api: int, plain: int, token: str, job_id: str, deep: str, seconds: float) -> dict[str, float]:
    """Measure everything once."""

    async def run(port: int, wire: bytes) -> Measured:
        return await load(port, lambda: wire, connections=CONNECTIONS, seconds=seconds)

    body = json.dumps(draft(schedule={"kind": "daily", "start": "2030-01-01T00:00:00Z"})).encode()
    numbers = itertools.count()
    first_page = f"/api/v1/jobs?limit={PAGE}&sort=title&state=active"
    before = await run(plain, request("GET", "/bare"))
    get = await run(api, request("GET", f"/api/v1/jobs/{job_id}", token))
    page = await run(api, request("GET", first_page, token))
    between = await run(plain, request("GET", "/bare"))
    deep_page = await run(api, request("GET", f"{first_page}&cursor={deep}", token))
    page_again = await run(api, request("GET", first_page, token))

    def create() -> bytes:
        return request("POST", "/api/v1/jobs", token, body, f"Idempotency-Key: {next(numbers)}-{id(numbers)}\r\n")

    made = await load(api, create, connections=CONNECTIONS, seconds=seconds)
    after = await run(plain, request("GET", "/bare"))
    base = statistics.median([each.per_second for each in (before, between, after)])
    base_p99 = statistics.median([each.p99 for each in (before, between, after)])
    first_cost = 2 / (page.per_second + page_again.per_second)
    return {
        "bare_per_s": base,
        "get_ratio": get.per_second / base,
        "list_ratio": (page.per_second + page_again.per_second) / 2 / base,
        "create_ratio": made.per_second / base,
        "p99_ratio": get.p99 / base_p99,
        "deep_page_ratio": (1 / deep_page.per_second) / first_cost,
    }


async def find_cursor(port: int, token: str, depth: int, limit: int) -> str:
    """Return the cursor of a page deep in the list, reached as a client does, page by page."""
    cursor = ""
    path = f"/api/v1/jobs?limit={limit}&sort=title&state=active"
    for _ in range(depth):
        found = json.loads(await ask(port, request("GET", path + (f"&cursor={cursor}" if cursor else ""), token)))
        if found["next"] is None:
            raise RuntimeError(f"the list has no {depth} pages of {limit}")
        cursor = found["next"]
    return cursor


async def run_trials(given: argparse.Namespace, dsns: list[str], token: str) -> list[dict[str, float]]:
    """Start the server and run the trials."""
    async with serving(dsns) as (api, plain):
        listed = json.loads(await ask(api, request("GET", "/api/v1/jobs?limit=1", token)))
        deep = await find_cursor(api, token, given.depth, PAGE)
        found = []
        for number in range(given.trials):
            found.append(await run_trial(api, plain, token, listed["items"][0]["id"], deep, given.seconds))
            print_line(f"trial {number + 1}: { ({name: round(value, 3) for name, value in found[-1].items()}) }")
        return found


async def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument(
        "--depth", type=int, default=999, help="pages of 50 before the deep one; the last tenant has enough jobs"
    )
    parser.add_argument("--trials", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0)
    given = parse_arguments(parser, API)
    with Reaper() as reaper:
        folder: Path = reaper.temporary_folder("sluice-bench-")
        server = Postgres(folder / "postgres", reaper)
        dsns, token = await create_database(
            Databases(server.start()), given.jobs, given.tenants, largest=(given.depth + 2) * PAGE
        )
        found = await run_trials(given, dsns, token)
        server.stop()
    result = {name: statistics.median([each[name] for each in found]) for name in found[0]}
    conclude(API, {name: result[name] for name in API.figures}, is_smallest=given.smallest)


if __name__ == "__main__":
    uvloop.run(main())
