"""J11, I4: a page of a list is read from an index, whatever it is sorted by and however deep it lies."""

import json
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import asyncpg
import pytest

from history.store import SQL
from history.store.listing import (
    ARTIFACT_SORTS,
    RUN_SORTS,
    ArtifactFilter,
    Page,
    RunFilter,
    artifact_page,
    run_page,
)
from shared.postgres import migrate
from tests.support.system import System

TENANT = uuid4()
RUNS = """
INSERT INTO run (run_id, job_id, tenant_id, version, state, created_at, title, source, type, started_at, ended_at,
    rows, files)
SELECT gen_random_uuid(), gen_random_uuid(), $1, nextval('run_version'),
    (ARRAY['succeeded', 'failed', 'cancelled'])[1 + n % 3], at, 'Job ' || n % 700, 'contact_history',
    (ARRAY['interaction', 'contact'])[1 + n % 2], at, at + n % 500 * interval '1 second', n % 900, n % 40
FROM generate_series(1, 3000) AS n, LATERAL (SELECT now() - n * interval '1 second' AS at) AS times
"""
FILES = """
INSERT INTO artifact (artifact_id, run_id, job_id, tenant_id, title, type, name, kind, part, rows, bytes_raw,
    bytes_packed, sha256, object, created_at, state, removed_at)
SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), $1, 'Job ' || n % 700, 'interaction', 'File ' || n,
    'interaction', 1, 1, 1, n % 800, '', '', now() - n * interval '1 second',
    (ARRAY['available', 'expired'])[1 + n % 2], (ARRAY[NULL, now()])[1 + n % 2]
FROM generate_series(1, 3000) AS n
"""


@pytest.fixture(scope="module")
async def database(system: System) -> AsyncIterator[asyncpg.Connection]:
    await migrate(system.dsn("history"), "history")
    connection = await asyncpg.connect(system.dsn("history"))
    for statement in (RUNS, FILES):
        for tenant_id in (TENANT, uuid4()):
            await connection.execute(statement, tenant_id)
    await connection.execute("ANALYZE run, artifact")
    yield connection
    await connection.close()


async def plan(database: asyncpg.Connection, page: tuple[str, list[object]]) -> str:
    statement, values = page
    return json.dumps(json.loads(await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)))


async def deep(database: asyncpg.Connection, page: tuple[str, list[object]], tie: str) -> tuple[str, UUID]:
    statement, values = page
    last = (await database.fetch(statement, *values))[-1]
    return last["sort_value"], last[tie]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", RUN_SORTS)
async def test_J11_a_deep_page_of_runs_is_read_from_the_sort_s_index(
    database: asyncpg.Connection, sort: str, descending: bool
) -> None:
    sql = SQL["list_runs"].replace("{columns}", "*")
    first = Page(sort=sort, descending=descending, limit=2000)
    after = await deep(database, run_page(sql, TENANT, RunFilter(), first), "run_id")
    page = Page(sort=sort, descending=descending, limit=50, after=after)
    found = await plan(database, run_page(sql, TENANT, RunFilter(), page))
    assert f'"run_by_{sort}"' in found
    assert '"Sort"' not in found
    assert "Rows Removed by Filter" not in found


@pytest.mark.parametrize("sort", ARTIFACT_SORTS)
async def test_J11_a_deep_page_of_files_is_read_from_the_sort_s_index(database: asyncpg.Connection, sort: str) -> None:
    sql = SQL["list_artifacts"].replace("{columns}", "*")
    first = Page(sort=sort, descending=True, limit=2000)
    after = await deep(database, artifact_page(sql, TENANT, ArtifactFilter(), first), "artifact_id")
    page = Page(sort=sort, descending=True, limit=50, after=after)
    found = await plan(database, artifact_page(sql, TENANT, ArtifactFilter(), page))
    assert f'"artifact_by_{"created" if sort == "expires" else sort}"' in found
    assert '"Sort"' not in found
    assert "Rows Removed by Filter" not in found


async def test_J11_the_few_runs_of_a_state_are_not_looked_for_among_all(database: asyncpg.Connection) -> None:
    await database.execute(
        """
        INSERT INTO run (run_id, job_id, tenant_id, version, state, created_at)
        SELECT gen_random_uuid(), gen_random_uuid(), $1, nextval('run_version'), 'running', now() - interval '9 days'
        FROM generate_series(1, 3)
        """,
        TENANT,
    )
    await database.execute("ANALYZE run")
    page = Page(sort="created", descending=True, limit=50)
    sql = SQL["list_runs"].replace("{columns}", "*")
    found = await plan(database, run_page(sql, TENANT, RunFilter(states=["running", "queued"]), page))
    assert '"Actual Rows": 3' in found or '"Actual Rows": 3.0' in found
    assert "run_state_created" in found or "run_by_state" in found
