"""PostgreSQL over TLS, as the DSN says: with a Debian server, since the one in the wheel was built without TLS."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres_account import Account, choose_account
from deploy.local.processes import POSTGRES_RANK, ChildProcess, ProcessSpec, plain_environment
from deploy.local.reaper import Reaper
from shared.errors import SluiceError
from shared.postgres import migrate, open_pool
from shared.provision import OWNER, ProvisionSettings, provision
from tests.support.authority import Authority
from tests.support.servers import PASSWORD, PASSWORDS
from tests.support.wait import eventually_now

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
pytestmark = pytest.mark.skipif(not PROGRAMS, reason="no PostgreSQL with TLS here (Debian: apt-get install postgresql)")


@pytest.fixture(scope="module")
def server(authority: Authority, reaper: Reaper, servers_folder: Path) -> Iterator[str]:
    """Run a server that requires TLS; return its address (host:port)."""
    folder = servers_folder / "postgres-tls"
    folder.mkdir()
    account = choose_account(folder)
    account.own(folder)
    port = free_port()
    create_cluster(folder, account, authority)
    running = ChildProcess(
        ProcessSpec(
            name="PostgreSQL with TLS",
            argv=[str(PROGRAMS[-1]), "-D", str(folder / "data"), f"--port={port}", "--fsync=off"],
            environment=plain_environment(),
            log=folder / "postgres.log",
            folder=folder,
            stop_signal=signal.SIGINT,
            rank=POSTGRES_RANK,
            user=account.user,
            group=account.group,
        ),
        reaper,
    )
    eventually_now(lambda: b"ready to accept connections" in (folder / "postgres.log").read_bytes(), timeout=60)
    yield f"{LOOPBACK}:{port}"
    running.stop()


def create_cluster(folder: Path, account: Account, authority: Authority) -> None:
    (folder / "password").write_text(PASSWORD)
    account.own(folder / "password")
    argv = [str(PROGRAMS[-1].with_name("initdb")), "-D", str(folder / "data"), "-U", "postgres", "--no-sync"]
    argv += ["--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--encoding=UTF8", "--locale=C.UTF-8"]
    subprocess.run(
        argv,
        cwd=folder,
        check=True,
        capture_output=True,
        user=account.user,
        group=account.group,
        extra_groups=None if account.user is None else [],
    )
    certificate, key = authority.sign("postgres", LOOPBACK)
    for source, name in ((certificate, "server.crt"), (key, "server.key"), (authority.ca, "root.crt")):
        target = folder / "data" / name
        target.write_bytes(source.read_bytes())
        target.chmod(0o600)
        account.own(target)
    (folder / "data/pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\nlocal all all reject\n")
    with (folder / "data/postgresql.conf").open("a") as settings:
        settings.write(
            f"listen_addresses = '{LOOPBACK}'\nunix_socket_directories = ''\nssl = on\nssl_ca_file = 'root.crt'\n"
        )


def dsn(server: str, authority: Authority, *, role: str = "postgres", database: str = "postgres") -> str:
    return f"postgresql://{role}:{PASSWORD}@{server}/{database}?sslmode=verify-full&sslrootcert={authority.ca}"


async def test_roles_tables_and_pools_work_over_a_verified_connection(server: str, authority: Authority) -> None:
    admin = dsn(server, authority)
    await provision(ProvisionSettings(admin_dsn=admin, **PASSWORDS))
    await migrate(dsn(server, authority, role=OWNER), "scheduler")
    async with open_pool(dsn(server, authority, role="scheduler"), size=2, name="test") as pool:
        row = await pool.fetchrow("SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert row is not None
        assert (row["ssl"], row["version"]) == (True, "TLSv1.3")
        assert await pool.fetchval("SELECT count(*) FROM slot") == 0


async def test_an_untrusted_server_and_a_connection_without_tls_are_rejected(
    server: str, authority: Authority, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "another authority")
    for bad in (dsn(server, stranger), f"postgresql://postgres:{PASSWORD}@{server}/postgres?sslmode=disable"):
        with pytest.raises((SluiceError, OSError, asyncpg.PostgresError)):
            async with open_pool(bad, size=2, name="test"):
                pass
