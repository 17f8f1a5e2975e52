"""A deletion is an explicit record of a compacted topic for 90 days, and a tombstone after that."""

import shutil
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
from pogo_core.util import migrate as pogo

from job_api.housekeeping import Housekeeping
from job_api.republishing import republish_all
from shared import events
from shared.postgres import migrate
from tests.integration.job_api.world import NOW, Tenant, World
from tests.integration.test_schemas import provisioned
from tests.support.servers import Databases

JOBS = "/api/v1/jobs"
BEFORE = 9
"""The number of migrations before the one that remembers deletions."""


async def clean_up(world: World, *, after: timedelta) -> list[events.Event]:
    """Let time pass, run the housekeeping, and return the events that it has written."""
    known = len(await world.events())
    world.clock.at += after
    await Housekeeping(world.database, world.clock).clean_up()
    return (await world.events())[known:]


async def test_J9_a_deleted_job_becomes_a_tombstone_after_90_days(world: World, tenant: Tenant) -> None:
    job = await tenant.job()
    await tenant.client.delete(f"{JOBS}/{job['id']}", headers={"If-Match": "*"})
    tombstone = events.JobTombstone(job_id=UUID(job["id"]))
    assert tombstone not in await clean_up(world, after=timedelta(days=89))
    assert tombstone in await clean_up(world, after=timedelta(days=2))
    assert tombstone not in await clean_up(world, after=timedelta(days=1)), "published once"


async def test_republishing_includes_deletions_until_they_are_tombstones(world: World, tenant: Tenant) -> None:
    job = await tenant.job()
    await tenant.client.delete(f"{JOBS}/{job['id']}", headers={"If-Match": "*"})
    deleted = (await world.events())[-1]
    assert isinstance(deleted, events.JobDeleted)
    assert (await republish_all(world.database, world.clock))["deletions"] >= 1
    assert deleted == (await world.events())[-1]


async def test_one_damaged_row_keeps_no_other_from_being_published_again(world: World, tenant: Tenant) -> None:
    damaged, good = await tenant.job(), await tenant.job()
    await world.admin.execute("UPDATE job_api.job SET settings = '{}' WHERE job_id = $1", UUID(damaged["id"]))
    known = len(await world.events())
    await republish_all(world.database, world.clock)
    published = {str(event.job_id) for event in (await world.events())[known:] if isinstance(event, events.JobSaved)}
    assert good["id"] in published
    assert damaged["id"] not in published
    await world.admin.execute("DELETE FROM job_api.job WHERE job_id = $1", UUID(damaged["id"]))


async def test_U4_an_ended_session_is_announced_as_deleted_and_forgotten_later(world: World, tenant: Tenant) -> None:
    login = {"user": tenant.user, "tenant": tenant.name, "password": tenant.password}
    opened = await world.client().post("/api/v1/session", json=login)
    assert opened.status_code == 201, opened.text
    identity = next(each for each in reversed(await world.events()) if isinstance(each, events.IdentitySaved))
    announced = await clean_up(world, after=timedelta(days=60))
    (deleted,) = (each for each in announced if getattr(each, "identity_id", None) == identity.identity_id)
    assert isinstance(deleted, events.IdentityDeleted)
    assert deleted.version > identity.version
    tombstone = events.IdentityTombstone(identity_id=identity.identity_id)
    assert tombstone in await clean_up(world, after=timedelta(days=91))


async def test_jobs_deleted_before_the_upgrade_are_announced_explicitly(postgres: Databases, tmp_path: Path) -> None:
    dsn, tenant_id, job_id = await provisioned(postgres, "job_api"), uuid4(), uuid4()
    every = sorted(str(each) for each in files("job_api").joinpath("sql", "migrations").iterdir())
    for path in [each for each in every if each.endswith(".sql")][:BEFORE]:
        shutil.copy(path, tmp_path)
    connection = await asyncpg.connect(dsn)
    try:
        await pogo.apply(connection, tmp_path, schema_name="job_api")
        await connection.execute("SET job_api.scope = 'all'")
        await connection.execute("INSERT INTO tenant VALUES ($1, 'a', 1, '{}', $2)", tenant_id, NOW)
        await connection.execute(
            "INSERT INTO audit (tenant_id, at, actor_name, action, object_kind, object_id, before) "
            "VALUES ($1, $2, 'ana', 'job.delete', 'job', $3, '{\"version\": 7}')",
            *(tenant_id, NOW, job_id),
        )
        await migrate(dsn, "job_api")
        rows = await connection.fetch("SELECT object_id, kind, tenant_id, version, announced_at FROM deletion")
    finally:
        await connection.close()
    assert [tuple(row) for row in rows] == [(job_id, "job", tenant_id, 8, None)]
