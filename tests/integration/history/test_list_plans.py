"""J11, I4: a page of a list is read from an index, whatever its sort and its depth."""

import json
from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import pytest

from history.store.lists import ARTIFACTS, RUNS
from shared.http.cursors import Position
from shared.http.lists import KeysetList, PageRequest
from tests.support.system import System

TENANT = uuid4()
INSERT_RUNS = """
INSERT INTO run (run_id, job_id, tenant_id, version, state, created_at, title, source, type, started_at, ended_at,
    rows, files)
SELECT gen_random_uuid(), gen_random_uuid(), $1, nextval('run_version'),
    (ARRAY['succeeded', 'failed', 'cancelled'])[1 + n % 3], at, 'Job ' || n % 700, 'contact_history',
    (ARRAY['interaction', 'contact'])[1 + n % 2], at, at + n % 500 * interval '1 second', n % 900, n % 40
FROM generate_series(1, 3000) AS n, LATERAL (SELECT now() - n * interval '1 second' AS at) AS times
"""
INSERT_FILES = """
INSERT INTO artifact (artifact_id, run_id, job_id, tenant_id, title, type, name, kind, part, rows, bytes_raw,
    bytes_packed, sha256, object, created_at, state, removed_at)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), $1, 'Job ' || n % 700, 'interaction', 'File ' || n,
    'interaction', 1, 1, 1, n % 800, '', '', now() - n * interval '1 second',
    (ARRAY['available', 'expired'])[1 + n % 2], (ARRAY[NULL, now()])[1 + n % 2]
FROM generate_series(1, 3000) AS n
"""


@pytest.fixture(scope="module")
async def database(system: System) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(system.dsn("history"))
    for statement in (INSERT_RUNS, INSERT_FILES):
        for tenant_id in (TENANT, uuid4()):
            await connection.execute(statement, tenant_id)
    await system.fetch_as_owner("history", "ANALYZE run, artifact")
    yield connection
    await connection.close()


def request_page(
    sort: str, *, descending: bool, limit: int = 50, after: Position | None = None, **filters: object
) -> PageRequest:
    return PageRequest(sort=sort, descending=descending, limit=limit, after=after, filters=filters)


async def explain(database: asyncpg.Connection, rows: KeysetList, request: PageRequest) -> str:
    statement, values = rows.to_sql(TENANT, request)
    return json.dumps(json.loads(await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)))


async def find_deep_position(
    database: asyncpg.Connection, rows: KeysetList, sort: str, *, descending: bool
) -> Position | None:
    page = await rows.fetch(database, TENANT, request_page(sort, descending=descending, limit=2000))
    return page.after


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", RUNS.sorts)
async def test_J11_a_deep_page_of_runs_is_read_from_the_sort_s_index(
    database: asyncpg.Connection, sort: str, descending: bool
) -> None:
    after = await find_deep_position(database, RUNS, sort, descending=descending)
    assert after is not None
    plan = await explain(database, RUNS, request_page(sort, descending=descending, after=after))
    assert f'"run_by_{sort.removesuffix("_at").removesuffix("_seconds")}"' in plan
    assert '"Sort"' not in plan
    assert "Rows Removed by Filter" not in plan


@pytest.mark.parametrize("sort", ARTIFACTS.sorts)
async def test_J11_a_deep_page_of_files_is_read_from_the_sort_s_index(database: asyncpg.Connection, sort: str) -> None:
    after = await find_deep_position(database, ARTIFACTS, sort, descending=True)
    assert after is not None
    plan = await explain(database, ARTIFACTS, request_page(sort, descending=True, after=after))
    assert (
        f'"artifact_by_{"created" if sort == "expires_at" else sort.removesuffix("_at").removesuffix("_seconds")}"'
        in plan
    )
    assert '"Sort"' not in plan
    assert "Rows Removed by Filter" not in plan


async def test_J11_the_few_runs_of_a_state_are_found_without_scanning_all(
    database: asyncpg.Connection, system: System
) -> None:
    await database.execute(
        """
        INSERT INTO run (run_id, job_id, tenant_id, version, state, created_at)
        SELECT gen_random_uuid(), gen_random_uuid(), $1, nextval('run_version'), 'running', now() - interval '9 days'
        FROM generate_series(1, 3)
        """,
        TENANT,
    )
    await system.fetch_as_owner("history", "ANALYZE run")
    request = request_page("created_at", descending=True, state=["running", "queued"])
    plan = await explain(database, RUNS, request)
    assert '"Actual Rows": 3' in plan or '"Actual Rows": 3.0' in plan
    assert "run_state_created" in plan or "run_by_state" in plan
