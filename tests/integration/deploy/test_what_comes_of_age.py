"""The counts behind the alerts about customers' certificates and files, in real databases."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg

from history.store.artifacts import ArtifactStore
from job_api.housekeeping import Housekeeping
from job_api.store import Database
from job_api.store.database import Pools
from shared.clock import SystemClock
from shared.observe import render_metrics
from shared.postgres import open_pool
from tests.support.servers import PASSWORD, Databases

NOW = datetime.now(UTC)


async def prepare(postgres: Databases, *roles: str) -> tuple[str, ...]:
    """Return the DSNs of a database for the administrator and for roles."""
    admin = await postgres.create_migrated()
    return admin, *(postgres.dsn(admin.rpartition("/")[2], role=role, password=PASSWORD) for role in roles)


async def test_C2_certificates_are_counted_before_they_expire(postgres: Databases) -> None:
    admin, dsn, system_dsn = await prepare(postgres, "job_api", "job_api_system")
    connection = await asyncpg.connect(admin)
    tenant = uuid4()
    try:
        await connection.execute("INSERT INTO job_api.tenant VALUES ($1, 'acme', 1, '{}', now(), 'acme')", tenant)
        for days, state in (
            (-1, "active"),
            (0.5, "active"),
            (5, "active"),
            (29, "active"),
            (99, "active"),
            (1, "retired"),
        ):
            await connection.execute(
                """INSERT INTO job_api.certificate (certificate_id, tenant_id, name, state, pem, fingerprint, subject,
                    key_bits, not_before, not_after, created_at, retired_at)
                VALUES ($1, $2, $3, $4, '', $3, '', 2048, $5, $5, $6, $7)""",
                uuid4(),
                tenant,
                f"{days}",
                state,
                NOW + timedelta(days=days),
                NOW,
                NOW if state == "retired" else None,
            )
    finally:
        await connection.close()
    async with Pools.open(dsn, system_dsn, size=2, name="test") as pools:
        await Housekeeping(Database(pools), SystemClock()).clean_up()
    exposition = render_metrics()[0].decode()
    for within, count in (("0", 1), ("1", 2), ("7", 3), ("30", 4)):
        assert f'sluice_certificates_expiring{{days="{within}"}} {count}.0' in exposition


async def test_A2_overdue_files_are_counted(postgres: Databases) -> None:
    admin, dsn = await prepare(postgres, "history")
    connection = await asyncpg.connect(admin)
    short = uuid4()
    try:
        await connection.execute("INSERT INTO history.retention VALUES ($1, 3)", short)
        for tenant, age in ((uuid4(), 31), (uuid4(), 29), (short, 4), (short, 2)):
            await connection.execute(
                """INSERT INTO history.artifact (artifact_id, run_id, job_id, tenant_id, title, type, name, kind, rows,
                    bytes_raw, bytes_packed, sha256, object, created_at)
                VALUES ($1, $1, $1, $2, '', 'contact', '', 'contact', 0, 0, 0, '', '', $3)""",
                uuid4(),
                tenant,
                NOW - timedelta(days=age),
            )
    finally:
        await connection.close()
    async with open_pool(dsn, size=2, name="test") as pool:
        assert await ArtifactStore(pool).count_overdue(NOW, timedelta(days=30)) == 2
        assert await ArtifactStore(pool).count_overdue(NOW - timedelta(days=3), timedelta(days=30)) == 0
