"""I4, J11: a page of the list is read from an index, whatever it is sorted by and however deep it lies."""

import json

import pytest

from job_api.store.database import SQL
from job_api.store.known import KnownJobs
from job_api.store.listing import SORTS, Wish, page
from tests.bench.api.__main__ import filled
from tests.integration.job_api.world import Tenant, World


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("sort", SORTS)
async def test_J11_a_deep_page_is_read_from_the_sorts_index(
    world: World, tenant: Tenant, sort: str, descending: bool
) -> None:
    await filled(world.admin, str(tenant.tenant_id), 3000)
    await world.admin.execute("ANALYZE job_api.job")
    async with world.database.looking(tenant.tenant_id) as database:
        wish = Wish(sort=sort, descending=descending, filters={"state": "active"}, limit=2000)
        deep = (await page(database, tenant.tenant_id, wish, KnownJobs())).after
        assert deep is not None
        column, kind = SORTS[sort]
        beyond = f"AND ({column}, job.job_id) {'<' if descending else '>'} ($3::text::{kind}, $4::uuid)"
        statement = SQL["jobs"].format(
            sort=column,
            direction="DESC" if descending else "ASC",
            conditions=f"AND job.state = $2::text {beyond}",
            limit=51,
        )
        found = await database.fetchval(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", tenant.tenant_id, "active", *deep
        )
    plan = json.dumps(found)
    assert f"job_by_{sort.removesuffix('_at')}" in plan
    assert '"Sort"' not in plan
    assert '"Rows Removed by Filter": 0' in plan or "Rows Removed by Filter" not in plan


async def test_J11_the_next_run_comes_last_and_never_run_first_where_there_is_none(tenant: Tenant) -> None:
    await tenant.job(title="due", schedule={"kind": "daily", "start": "2026-11-25T06:00:00Z"})
    await tenant.job(title="never due", schedule={"kind": "once", "immediately": True})
    answer = await tenant.client.get("/api/v1/jobs", params={"sort": "next_run"})
    assert [job["title"] for job in answer.json()["items"]] == ["due", "never due"]
