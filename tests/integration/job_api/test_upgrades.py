"""Upgrades of data that earlier releases accepted: a migration stops in words where the data must be corrected."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import pytest
from pogo_core.util import migrate as pogo

from shared.certificates import identify_certificate
from shared.postgres import PostgresMisconfigured, migrate
from tests.support.servers import Databases
from tests.unit.stream.officers import make_officer


@pytest.fixture
async def admin(postgres: Databases) -> str:
    """Return the administrator's DSN of a provisioned database without tables."""
    return await postgres.create_provisioned()


async def migrate_before(dsn: str, name: str, folder: Path) -> None:
    """Apply the migrations of job-api that precede the named one."""
    with as_file(files("job_api").joinpath("sql", "migrations")) as every:
        for path in sorted(every.glob("[0-9]*.*")):
            if path.stem < name:
                shutil.copy(path, folder)
    connection = await asyncpg.connect(dsn)
    try:
        await pogo.apply(connection, folder, schema_name="job_api")
    finally:
        await connection.close()


async def insert_tenant(connection: "asyncpg.Connection[asyncpg.Record]", name: str, number: int) -> UUID:
    tenant = uuid4()
    await connection.execute(
        "INSERT INTO job_api.tenant (tenant_id, name, source_tenant, media_types, created_at) "
        "VALUES ($1, $2, $3, '{email}', now())",
        tenant,
        name,
        number,
    )
    return tenant


async def test_E8_a_migration_stops_where_two_tenants_have_one_source_number(
    postgres: Databases, admin: str, tmp_path: Path
) -> None:
    dsn = postgres.owner_dsn(admin.rpartition("/")[2], "job_api")
    await migrate_before(dsn, "0009_job_api_source_numbers", tmp_path)
    connection = await asyncpg.connect(admin)
    try:
        await insert_tenant(connection, "Acme", 7)
        await insert_tenant(connection, "Other", 8)
        wrong = await insert_tenant(connection, "Wrong", 7)
        with pytest.raises(PostgresMisconfigured, match=r"number 7: Acme \(.+\), Wrong \(.+\)\. Correct") as stopped:
            await migrate(dsn, "job_api")
        assert "Other" not in str(stopped.value)
        await connection.execute("UPDATE job_api.tenant SET source_tenant = 9 WHERE tenant_id = $1", wrong)
        await migrate(dsn, "job_api")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("UPDATE job_api.tenant SET source_tenant = 9 WHERE name = 'Acme'")
    finally:
        await connection.close()


async def insert_user(connection: "asyncpg.Connection[asyncpg.Record]", tenant: UUID, name: str) -> None:
    await connection.execute(
        "INSERT INTO job_api.app_user (user_id, tenant_id, name, password_hash, roles, created_at) "
        "VALUES ($1, $2, $3, '', '{admin}', now())",
        uuid4(),
        tenant,
        name,
    )


async def test_U4_a_migration_stops_where_two_names_have_one_key(
    postgres: Databases, admin: str, tmp_path: Path
) -> None:
    dsn = postgres.owner_dsn(admin.rpartition("/")[2], "job_api")
    await migrate_before(dsn, "0012_job_api_names", tmp_path)
    connection = await asyncpg.connect(admin)
    try:
        acme, other = await insert_tenant(connection, "Acme", 1), await insert_tenant(connection, "ＡＣＭＥ 2", 2)
        await insert_tenant(connection, "Acme 2", 3)
        for tenant, name in ((acme, "Straße"), (acme, "STRASSE"), (other, "strasse"), (other, "ben")):
            await insert_user(connection, tenant, name)
        with pytest.raises(
            PostgresMisconfigured, match=r"Acme 2 .+; Straße \(.+\), STRASSE \(.+\)\. Rename"
        ) as stopped:
            await migrate(dsn, "job_api")
        assert "ben" not in str(stopped.value)
        await connection.execute("UPDATE job_api.tenant SET name = 'Acme 3' WHERE source_tenant = 3")
        await connection.execute("UPDATE job_api.app_user SET name = 'Straße 2' WHERE name = 'STRASSE'")
        await migrate(dsn, "job_api")
        keys = await connection.fetch("SELECT name_key FROM job_api.app_user ORDER BY name_key")
        assert [row["name_key"] for row in keys] == ["ben", "strasse", "strasse", "strasse 2"]
    finally:
        await connection.close()


async def test_C1_certificates_that_programs_cannot_tell_apart_survive_the_migration(
    postgres: Databases, admin: str, tmp_path: Path
) -> None:
    dsn = postgres.owner_dsn(admin.rpartition("/")[2], "job_api")
    await migrate_before(dsn, "0013_job_api_certificate_keys", tmp_path)
    connection = await asyncpg.connect(admin)
    try:
        tenants = [uuid4(), uuid4()]
        for number, tenant in enumerate(tenants):
            await connection.execute(
                "INSERT INTO job_api.tenant VALUES ($1, $2, $3, '{}', now(), $2)", tenant, f"t{number}", number
            )
        twins = [make_officer("Authority", serial=7).pem.decode() for _ in range(2)]
        old = [(tenants[0], twins[0]), (tenants[0], twins[1]), (tenants[1], twins[1]), (tenants[1], "damaged")]
        for number, (tenant, pem) in enumerate(old):
            await connection.execute(
                """INSERT INTO job_api.certificate (certificate_id, tenant_id, name, state, pem, fingerprint, subject,
                    key_bits, not_before, not_after, created_at)
                VALUES ($1, $2, $3, 'active', $4, $3, '', 2048, now(), now(), now() + make_interval(secs => $5))""",
                uuid4(),
                tenant,
                f"{number}",
                pem,
                number,
            )
        await migrate(dsn, "job_api")
        rows = await connection.fetch("SELECT key_type, issuer_and_serial FROM job_api.certificate ORDER BY name")
        identity = identify_certificate(twins[0])
        assert [tuple(row) for row in rows] == [("rsa", identity), ("rsa", None), ("rsa", identity), ("rsa", None)]
    finally:
        await connection.close()
