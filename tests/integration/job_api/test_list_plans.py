"""I4, J11: a page of a list is read from an index, for every sort and at any depth."""

import json
from dataclasses import replace

import pytest

from job_api.store.lists import AUDIT, JOBS
from shared.http.lists import KeysetList, PageRequest
from tests.bench.api.__main__ import insert_jobs
from tests.integration.job_api.world import Tenant, World


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", JOBS.sorts)
async def test_J11_a_deep_page_is_read_from_the_sorts_index(
    world: World, tenant: Tenant, sort: str, descending: bool
) -> None:
    await insert_jobs(world.admin, str(tenant.tenant_id), 3000)
    await world.admin.execute("ANALYZE job_api.job")
    plan = await explain_deep_page(
        world, tenant, JOBS, PageRequest(sort=sort, descending=descending, filters={"state": "active"}, limit=2000)
    )
    assert f"job_by_{sort.removesuffix('_at')}" in plan


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", AUDIT.sorts)
async def test_J11_a_deep_page_of_the_audit_trail_is_read_from_the_sorts_index(
    world: World, tenant: Tenant, sort: str, descending: bool
) -> None:
    await world.admin.execute(ENTRIES, tenant.tenant_id)
    await world.admin.execute("ANALYZE job_api.audit")
    request = PageRequest(sort=sort, descending=descending, filters={}, limit=2000)
    plan = await explain_deep_page(world, tenant, AUDIT, request)
    assert f"audit_by_{AUDIT_INDEX.get(sort, sort)}" in plan


AUDIT_INDEX = {"created_at": "at", "object_kind": "kind"}
ENTRIES = """
INSERT INTO job_api.audit (tenant_id, at, actor_name, action, object_kind, object_id, service)
SELECT $1, now() + n * interval '1 second', 'Actor ' || n % 40, 'job.' || n % 7, 'kind' || n % 5, gen_random_uuid(),
    'service-' || n % 3
FROM generate_series(1, 3000) AS n
"""


async def explain_deep_page(world: World, tenant: Tenant, rows: KeysetList, request: PageRequest) -> str:
    """Return the plan of the 50 rows after a page, which must neither sort nor read rows that it does not return."""
    async with world.database.read(tenant.tenant_id) as database:
        deep = (await rows.fetch(database, tenant.tenant_id, request)).after
        assert deep is not None
        statement, values = rows.to_sql(tenant.tenant_id, replace(request, limit=50, after=deep))
        found = await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
    plan = json.dumps(found)
    assert '"Sort"' not in plan
    assert '"Rows Removed by Filter": 0' in plan or "Rows Removed by Filter" not in plan
    return plan


async def test_J11_jobs_without_a_next_run_are_sorted_last(tenant: Tenant) -> None:
    await tenant.job(title="due", schedule={"kind": "daily", "start": "2026-11-25T06:00:00Z"})
    await tenant.job(title="never due", schedule={"kind": "once", "immediately": True})
    answer = await tenant.client.get("/api/v1/jobs", params={"sort": "next_run_at"})
    assert [job["title"] for job in answer.json()["items"]] == ["due", "never due"]
