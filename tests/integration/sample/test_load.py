"""Loading the sample: once, again, another one, over tables of another origin, interrupted."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TypeAlias

import asyncpg
import pytest

from deploy.sample.load import SampleConflict, load
from tests.support.servers import MakePostgres

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def admin(database: str) -> AsyncIterator[Connection]:
    """Return the administrator's connection to this test's database."""
    connection = await asyncpg.connect(database)
    yield connection
    await connection.close()


async def test_the_counts_are_those_of_the_views(database: str, admin: Connection) -> None:
    shown: list[int] = []
    summary = await load(database, interactions=2_100, progress=shown.append)
    assert shown == [2_000, 2_100]
    assert not summary.already_loaded
    for view, count in summary.rows.items():
        assert await admin.fetchval(f"SELECT count(*) FROM contact_history.{view}") == count


async def test_several_workers_load_the_same_rows_in_the_same_order(database: str, admin: Connection) -> None:
    await load(database, interactions=6_000, workers=1)
    digest = "SELECT md5(string_agg(md5(c::text), '' ORDER BY ctid)) FROM suite.conversation c"
    alone = await admin.fetchval(digest)
    await admin.execute("DROP SCHEMA suite CASCADE")
    await load(database, interactions=6_000, workers=2)
    assert await admin.fetchval(digest) == alone


async def test_the_same_sample_is_not_loaded_again(database: str, admin: Connection) -> None:
    first = await load(database, interactions=100)
    before = await admin.fetchval("SELECT xmin FROM suite.sample_set")
    again = await load(database, interactions=100)
    assert again.already_loaded
    assert (again.rows, again.bytes) == (first.rows, first.bytes)
    assert await admin.fetchval("SELECT xmin FROM suite.sample_set") == before


@pytest.mark.parametrize(("interactions", "seed", "tenants"), [(101, 1, 2), (100, 2, 2), (100, 1, 3)])
async def test_another_sample_is_refused_without_replace(
    database: str, admin: Connection, interactions: int, seed: int, tenants: int
) -> None:
    await load(database, interactions=100)
    with pytest.raises(SampleConflict, match=r"100 interactions of 2 tenants, seed 1.*--replace"):
        await load(database, interactions=interactions, seed=seed, tenants=tenants)
    await load(database, interactions=interactions, seed=seed, tenants=tenants, replace=True)
    assert await admin.fetchval("SELECT count(*) FROM contact_history.interaction") == interactions


async def test_views_of_another_origin_are_not_touched(database: str, admin: Connection) -> None:
    await admin.execute("CREATE SCHEMA contact_history; CREATE VIEW contact_history.interaction AS SELECT 1 AS id")
    with pytest.raises(SampleConflict, match="another database"):
        await load(database, interactions=100, replace=True)


async def test_rows_inserted_by_hand_are_not_dropped_without_replace(database: str, admin: Connection) -> None:
    for file in ("sample-tables.sql", "views.sql"):
        await admin.execute((ROOT / "deploy" / "contact-history" / file).read_text(encoding="utf-8"))
    await admin.execute(
        "INSERT INTO suite.conversation (conversation_key, org_no, started_at, changed_at)"
        " VALUES ('x', 1, now(), now())"
    )
    with pytest.raises(SampleConflict, match="by hand"):
        await load(database, interactions=100)


async def test_an_interrupted_load_leaves_nothing(database: str, admin: Connection) -> None:
    def interrupt(done: int) -> None:
        raise KeyError(done)

    with pytest.raises(KeyError):
        await load(database, interactions=5_000, progress=interrupt)
    assert await admin.fetchval("SELECT to_regnamespace('suite') IS NULL")
    assert not (await load(database, interactions=100)).already_loaded


async def test_concurrent_loads_are_serialised(database: str) -> None:
    one, other = await asyncio.gather(load(database, interactions=100), load(database, interactions=100))
    assert {one.already_loaded, other.already_loaded} == {True, False}


@pytest.mark.parametrize(("interactions", "tenants"), [(0, 2), (10_000_001, 2), (1, 0), (1, 1_001)])
async def test_sizes_out_of_range_are_rejected(interactions: int, tenants: int) -> None:
    with pytest.raises(ValueError, match="must be from 1 to"):
        await load("postgresql://nowhere.invalid/", interactions=interactions, tenants=tenants)


async def test_both_sql_files_can_be_run_again(database: str, admin: Connection) -> None:
    await load(database, interactions=100)
    for file in ("sample-tables.sql", "views.sql"):
        await admin.execute((ROOT / "deploy" / "contact-history" / file).read_text(encoding="utf-8"))
    assert await admin.fetchval("SELECT count(*) FROM contact_history.interaction") == 100


async def test_the_command_loads_and_sets_the_readers_password(make_postgres: MakePostgres, tmp_path: Path) -> None:
    # A server of its own: the role and its password are shared by all databases of a server.
    server = make_postgres()
    dsn = server.start()
    (tmp_path / "password").write_text("it's \\secret\n")
    argv = ["load", "--dsn", dsn, "--interactions", "300", "--reader-password-file", str(tmp_path / "password")]
    code, out, err = await _command(*argv)
    assert (code, err) == (0, "300 of 300 interactions (100 %), 0 s left\n")
    assert out.startswith("Loaded 300 interactions, 38 contacts, ")
    code, out, err = await _command(*argv)
    assert (code, err) == (0, "")
    assert out.startswith("Already loaded: 300 interactions, 38 contacts, ")
    code, out, err = await _command(*argv, "--seed", "2")
    assert (code, out) == (2, "")
    assert err.startswith("error: another sample is loaded")
    reader = await asyncpg.connect(server.dsn("sluice_reader", "it's \\secret", "postgres"))
    assert await reader.fetchval("SELECT count(*) FROM contact_history.interaction") == 300
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await reader.execute("CREATE TEMPORARY TABLE mine ()")
    await reader.close()


async def _command(*argv: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.sample", *argv, cwd=ROOT, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
