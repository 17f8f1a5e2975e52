"""I4, J11: a page of the list is read from an index, whatever it is sorted by and however deep it lies."""

import json
from dataclasses import replace

import pytest

from job_api.store.listing import Listing, Wish
from job_api.store.lists import AUDIT, JOBS
from tests.bench.api.__main__ import filled
from tests.integration.job_api.world import Tenant, World


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", JOBS.sorts)
async def test_J11_a_deep_page_is_read_from_the_sorts_index(
    world: World, tenant: Tenant, sort: str, descending: bool
) -> None:
    await filled(world.admin, str(tenant.tenant_id), 3000)
    await world.admin.execute("ANALYZE job_api.job")
    plan = await deep_plan(
        world, tenant, JOBS, Wish(sort=sort, descending=descending, filters={"state": "active"}, limit=2000)
    )
    assert f"job_by_{sort.removesuffix('_at')}" in plan


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", AUDIT.sorts)
async def test_J11_a_deep_page_of_the_audit_trail_is_too(
    world: World, tenant: Tenant, sort: str, descending: bool
) -> None:
    await world.admin.execute(TRAIL, tenant.tenant_id)
    await world.admin.execute("ANALYZE job_api.audit")
    plan = await deep_plan(world, tenant, AUDIT, Wish(sort=sort, descending=descending, filters={}, limit=2000))
    assert f"audit_by_{sort}" in plan


TRAIL = """
INSERT INTO job_api.audit (tenant_id, at, actor_name, action, object_kind, object_id)
SELECT $1, now() + n * interval '1 second', 'Actor ' || n % 40, 'job.' || n % 7, 'kind' || n % 5, gen_random_uuid()
FROM generate_series(1, 3000) AS n
"""


async def deep_plan(world: World, tenant: Tenant, listing: Listing, wish: Wish) -> str:
    """Return the plan of the 50 rows that follow a page, which neither sorts nor reads any that it does not show."""
    async with world.database.looking(tenant.tenant_id) as database:
        deep = (await listing.page(database, tenant.tenant_id, wish)).after
        assert deep is not None
        statement, values = listing.statement(tenant.tenant_id, replace(wish, limit=50, after=deep))
        found = await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", *values)
    plan = json.dumps(found)
    assert '"Sort"' not in plan
    assert '"Rows Removed by Filter": 0' in plan or "Rows Removed by Filter" not in plan
    return plan


async def test_J11_the_next_run_comes_last_and_never_run_first_where_there_is_none(tenant: Tenant) -> None:
    await tenant.job(title="due", schedule={"kind": "daily", "start": "2026-11-25T06:00:00Z"})
    await tenant.job(title="never due", schedule={"kind": "once", "immediately": True})
    answer = await tenant.client.get("/api/v1/jobs", params={"sort": "next_run"})
    assert [job["title"] for job in answer.json()["items"]] == ["due", "never due"]
