"""The commands of the operations guide, run verbatim: install, back up, restore, erase a tenant, replay."""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.local.postgres_account import Account, find_installation
from deploy.local.processes import plain_environment
from shared import codec
from shared.clock import SystemClock
from shared.kafka import Producer
from shared.kafka.dead_letters import to_dead_letter
from shared.provision import OWNER
from shared.topics import COMMANDS
from tests.support.servers import PASSWORD, PASSWORDS, Databases

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "deploy/OPERATIONS.md").read_text(encoding="utf-8")
SERVICES = ("job_api", "scheduler", "exporter", "history")


def commands(heading: str) -> str:
    """Return the tested commands under a heading as one script."""
    section = re.split(r"^## ", GUIDE, flags=re.MULTILINE)
    (text,) = [each for each in section if each.startswith(heading + "\n")]
    blocks = re.findall(r"<!-- run by: tests.*?-->\n```sh\n(.*?)```", text, re.DOTALL)
    assert blocks, heading
    return "".join(blocks)


def run(script: str, environment: Mapping[str, str]) -> str:
    """Run commands of the guide with our Python and PostgreSQL's programs; return their output."""
    programs = find_installation(Account()) / "bin"
    path = f"{programs}:{Path(sys.executable).parent}:/usr/bin:/bin"
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=ROOT,
        env=plain_environment({**environment, "PATH": path}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(databases: Databases, admin: str, kafka: str, folder: Path) -> dict[str, str]:
    name = urlsplit(admin).path.strip("/")
    found = {"ADMIN_DSN": admin, "SLUICE_PROVISION_ADMIN_DSN": admin, "SLUICE_KAFKA_BOOTSTRAP": kafka}
    found |= {f"SLUICE_PROVISION_{each.upper()}": password for each, password in PASSWORDS.items()}
    found["SLUICE_MIGRATE_POSTGRES"] = databases.dsn(name, role=OWNER, password=PASSWORD)
    for role in SERVICES:
        found[f"SLUICE_{role.upper()}_POSTGRES"] = databases.dsn(name, role=role, password=PASSWORD)
    found["SLUICE_JOB_API_POSTGRES_SYSTEM"] = databases.dsn(name, role="job_api_system", password=PASSWORD)
    found["SLUICE_EXPORTER_SOURCE"] = admin
    found["SLUICE_EXPORTER_STORE"] = found["SLUICE_HISTORY_STORE"] = folder.as_uri()
    return found


@pytest.fixture(scope="module")
async def installed(
    postgres: Databases, own_kafka: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, str], str]:
    """Install according to the guide; return the environment and the first tenant's id."""
    given = environment(postgres, await postgres.create(), own_kafka, tmp_path_factory.mktemp("store"))
    script = commands("Install").replace("NUMBER", "101").replace("NAME", "acme")
    output = await asyncio.to_thread(run, script, given)
    return given, json.loads(output.splitlines()[-1])["tenant_id"]


async def test_a_dump_restored_into_an_empty_database_gives_the_same_system(
    installed: tuple[dict[str, str], str], postgres: Databases, own_kafka: str, tmp_path: Path
) -> None:
    before, tenant = installed
    dump = str(tmp_path / "sluice.dump")
    script = commands("Back up and restore").replace("sluice.dump", dump)
    save, restore = script.split("pg_restore", 1)
    await asyncio.to_thread(run, save, before)
    after = environment(postgres, await postgres.create(), own_kafka, tmp_path)
    await asyncio.to_thread(run, "pg_restore" + restore, after)
    assert await summarise(after["ADMIN_DSN"]) == await summarise(before["ADMIN_DSN"])
    again = "python -m job_api bootstrap --tenant acme --source-tenant 101 --user acme"
    assert json.loads(await asyncio.to_thread(run, again, after)) == {"tenant_id": tenant, "exists": True}
    migrations = "".join(f"python -m {each} migrate\n" for each in SERVICES)
    await asyncio.to_thread(run, migrations, after)


async def summarise(dsn: str) -> dict[str, tuple[int, str]]:
    """Return the number of rows of each table of the four schemas, and their checksum."""
    connection = await asyncpg.connect(dsn)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = ANY ($1)",
            list(SERVICES),
        )
        rows = "SELECT count(*), md5(coalesce(string_agg(t::text, ',' ORDER BY t::text), '')) FROM {} AS t"
        found = {each["name"]: tuple(*await connection.fetch(rows.format(each["name"]))) for each in tables}
    finally:
        await connection.close()
    assert len(found) > 20
    assert found["job_api.identity"][0] > 0
    return found


async def test_an_erased_tenant_leaves_nothing_in_any_schema(installed: tuple[dict[str, str], str]) -> None:
    given, kept = installed
    other = "python -m job_api bootstrap --tenant other --source-tenant 102 --user other"
    tenant = json.loads(await asyncio.to_thread(run, other, given))["tenant_id"]
    numbered = given | {"TENANT_ID": tenant, "RIGHT_NUMBER": "103"}
    await asyncio.to_thread(run, commands("Correct a source number"), numbered)
    assert json.loads(await asyncio.to_thread(run, other.replace("102", "103"), given))["exists"]
    await asyncio.to_thread(run, commands("Erase one tenant"), given | {"TENANT_ID": tenant})
    tables = """SELECT string_agg(format('SELECT count(*) FROM %I.%I WHERE tenant_id = %L', table_schema, table_name,
        $1::text), ' UNION ALL ') FROM information_schema.columns
        WHERE column_name = 'tenant_id' AND table_schema = ANY ($2)"""
    connection = await asyncpg.connect(given["ADMIN_DSN"])
    try:
        for who, empty in ((tenant, True), (kept, False)):
            union = await connection.fetchval(tables, who, list(SERVICES))
            assert (await connection.fetchval(f"SELECT sum(count) FROM ({union})") == 0) is empty
    finally:
        await connection.close()


async def test_the_erasure_covers_every_table_that_refers_to_a_tenant_or_a_run(
    installed: tuple[dict[str, str], str],
) -> None:
    given, _ = installed
    script = (ROOT / "deploy/erase-tenant.sql").read_text(encoding="utf-8")
    connection = await asyncpg.connect(given["ADMIN_DSN"])
    try:
        rows = await connection.fetch(
            """SELECT DISTINCT table_schema || '.' || table_name AS name FROM information_schema.columns
            JOIN information_schema.tables USING (table_schema, table_name)
            WHERE table_type = 'BASE TABLE' AND table_schema = ANY ($1)
            AND column_name IN ('tenant_id', 'run_id', 'job_id')""",
            list(SERVICES),
        )
    finally:
        await connection.close()
    handled = ("DELETE FROM {} ", "UPDATE {} SET tenant_id = ")
    assert [row["name"] for row in rows if not any(each.format(row["name"]) in script for each in handled)] == []


async def test_a_role_s_password_is_changed(installed: tuple[dict[str, str], str]) -> None:
    given, _ = installed
    connection = await asyncpg.connect(given["ADMIN_DSN"])
    stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'scheduler'"
    try:
        before = await connection.fetchval(stored)
        changed = given | {"SLUICE_PROVISION_SCHEDULER_PASSWORD": "another-password"}
        await asyncio.to_thread(run, commands("Rotate keys and certificates"), changed)
        after = await connection.fetchval(stored)
        assert after.startswith("SCRAM-SHA-256$")
        assert after != before
    finally:
        # Roles belong to the whole server, which other tests share.
        await asyncio.to_thread(run, commands("Rotate keys and certificates"), given)
        await connection.close()


async def test_dead_letters_are_replayed(own_kafka: str, installed: tuple[dict[str, str], str]) -> None:
    given, _ = installed
    async with Producer.open(own_kafka, name="test") as producer:
        origin = codec.Received(COMMANDS.name, 0, 0, b"x", b"{}", ())
        await producer.send([to_dead_letter(origin, group="sluice.exporter", reason="test", at=SystemClock().now())])
    printed = await asyncio.to_thread(run, commands("Replay dead letters"), given)
    assert printed == f"dead letters of {COMMANDS.name} replayed to sluice.exporter: 1\n"
    printed = await asyncio.to_thread(run, commands("Set a message aside"), given)
    assert printed == "sluice.exporter will set aside sluice.commands[3] 1207 to 1207\n"


async def test_everything_is_republished_to_a_new_kafka(installed: tuple[dict[str, str], str]) -> None:
    given, _ = installed
    output = await asyncio.to_thread(run, commands("Recover from a loss of Kafka"), given)
    published = json.loads(output.splitlines()[-1])
    assert set(published) == {"certificates", "destinations", "identities", "subjects", "jobs", "deletions"}
    assert published["identities"] >= 1, "the first administrator's key"
