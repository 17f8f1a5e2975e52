"""The first start of compose's PostgreSQL: it creates the views, and Sluice's role can only read them."""

import asyncio
import subprocess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.compose.make_secrets import make_secrets
from deploy.local.postgres_account import Account, find_installation
from deploy.local.processes import plain_environment
from tests.support.servers import MakePostgres

ROOT = Path(__file__).parents[3]
VIEWS = ("interaction", "contact", "attachment")


async def test_the_first_start_creates_a_contact_history_that_sluice_can_only_read(
    make_postgres: MakePostgres, tmp_path: Path
) -> None:
    server = make_postgres()
    admin = urlsplit(await asyncio.to_thread(server.start))
    await asyncio.to_thread(server.create_database, "sluice")
    make_secrets(tmp_path / "secrets")
    environment = {
        "PATH": f"{find_installation(Account()) / 'bin'}:/usr/bin:/bin",
        "PGHOST": str(admin.hostname),
        "PGPORT": str(admin.port),
        "PGPASSWORD": str(admin.password),
        "POSTGRES_USER": str(admin.username),
        "POSTGRES_DB": "sluice",
        "CONTACT_HISTORY": str(ROOT / "deploy/contact-history"),
        "SECRETS": str(tmp_path / "secrets"),
    }
    script = str(ROOT / "deploy/compose/init-contact-history.sh")
    done = await asyncio.to_thread(
        subprocess.run, [script], env=plain_environment(environment), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    given = urlsplit((tmp_path / "secrets/source_dsn").read_text().strip())
    reader = given._replace(netloc=f"{given.username}:{given.password}@{admin.hostname}:{admin.port}")
    connection = await asyncpg.connect(urlunsplit(reader))
    try:
        for view in VIEWS:
            assert await connection.fetchval(f"SELECT count(*) FROM contact_history.{view}") == 0
        with pytest.raises(asyncpg.PostgresError):
            await connection.execute("CREATE TABLE contact_history.mine ()")
        # Also loads the sample of the test with containers, which rarely runs.
        owner = await asyncpg.connect(urlunsplit(admin._replace(path="/contact_history")))
        await owner.execute(Path(__file__).with_name("container_sample.sql").read_text(encoding="utf-8"))
        await owner.close()
        counts = {view: await connection.fetchval(f"SELECT count(*) FROM contact_history.{view}") for view in VIEWS}
        assert counts == {"interaction": 500, "contact": 1, "attachment": 1}
    finally:
        await connection.close()
    for database in ("sluice", "postgres"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
            await asyncpg.connect(urlunsplit(reader._replace(path=f"/{database}")))
