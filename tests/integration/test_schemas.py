"""Each service's schema.sql and its migrations give the same database."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from shared.postgres import PostgresMisconfigured, PostgresUnavailable, migrate, open_pool, require_schema
from shared.provision import OWNER, ROLES, SCHEMAS, ProvisionSettings, provision
from tests.support.servers import PASSWORD, PASSWORDS, Databases

SERVICES = Path(__file__).parents[2] / "services"
SHAPE = """
SELECT 'column' AS kind, c.relname::text || '.' || a.attname::text AS name,
       format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull::text || ' ' || a.attidentity::text || ' ' ||
       coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS shape
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = $1::text::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
  AND c.relkind IN ('r', 'v', 'p', 'c')
UNION ALL SELECT 'index', indexname::text, indexdef FROM pg_indexes WHERE schemaname = $1::text
UNION ALL SELECT 'constraint', conrelid::regclass::text || '.' || conname::text, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = $1::text::regnamespace
UNION ALL SELECT 'view', viewname::text, definition FROM pg_views WHERE schemaname = $1::text
UNION ALL SELECT 'sequence', sequencename::text, concat_ws(' ', data_type, start_value, increment_by, cycle)
FROM pg_sequences WHERE schemaname = $1::text
UNION ALL SELECT 'options', relname::text, reloptions::text FROM pg_class
WHERE relnamespace = $1::text::regnamespace AND reloptions IS NOT NULL
UNION ALL SELECT 'trigger', tgrelid::regclass::text || '.' || tgname::text, pg_get_triggerdef(t.oid)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = $1::text::regnamespace
  AND NOT tgisinternal
UNION ALL SELECT 'function', proname::text, pg_get_functiondef(oid)
FROM pg_proc WHERE pronamespace = $1::text::regnamespace
UNION ALL SELECT 'policy', tablename::text || '.' || policyname::text,
       coalesce(qual, '') || ' ' || coalesce(with_check, '') || ' ' || cmd
FROM pg_policies WHERE schemaname = $1::text
UNION ALL SELECT 'security', relname::text, relrowsecurity::text || ' ' || relforcerowsecurity::text
FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relkind = 'r'
ORDER BY 1, 2
"""


async def provisioned(postgres: Databases, package: str) -> str:
    """Create a database without tables; return its DSN for the owner of the package's schema."""
    return postgres.owner_dsn((await postgres.create_provisioned()).rpartition("/")[2], package)


def name_database(dsn: str) -> str:
    return urlsplit(dsn).path.removeprefix("/")


async def shape(dsn: str, package: str) -> list[tuple[str, ...]]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(SHAPE, package)]
    finally:
        await connection.close()


@pytest.mark.parametrize("package", SCHEMAS)
async def test_migrations_and_schema_give_the_same_database(postgres: Databases, package: str) -> None:
    migrated, written = await provisioned(postgres, package), await provisioned(postgres, package)
    await migrate(migrated, package)
    (text,) = (path.read_text() for path in SERVICES.glob(f"*/{package}/sql/schema.sql"))
    connection = await asyncpg.connect(written)
    await connection.execute(text)
    await connection.close()
    found = await shape(migrated, package)
    assert found == await shape(written, package)
    names = {(kind, name) for kind, name, _ in found}
    assert {("column", "outbox.shard"), ("function", "outbox_notify"), ("sequence", "outbox_id_seq")} <= names
    assert (("view", "claimable_run") in names) is (package == "exporter")


async def test_migrating_twice_at_once_is_harmless(postgres: Databases) -> None:
    dsn = await provisioned(postgres, "scheduler")
    await asyncio.gather(*(migrate(dsn, "scheduler") for _ in range(4)))
    assert await shape(dsn, "scheduler")


async def test_provisioning_again_changes_passwords_only(postgres: Databases) -> None:
    dsn = await provisioned(postgres, "history")
    admin = postgres.dsn(name_database(dsn))
    await provision(ProvisionSettings(admin_dsn=admin, **PASSWORDS))
    await migrate(dsn, "history")


async def test_no_service_reads_another_s_schema(postgres: Databases) -> None:
    dsn = await provisioned(postgres, "scheduler")
    await migrate(dsn, "scheduler")
    connection = await asyncpg.connect(postgres.dsn(name_database(dsn), role="exporter", password=PASSWORD))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch("SELECT * FROM scheduler.slot")
    finally:
        await connection.close()


async def test_a_schema_that_lacks_a_migration_is_told_with_what_mends_it(postgres: Databases) -> None:
    owner = await provisioned(postgres, "history")
    dsn = postgres.dsn(name_database(owner), role="history", password=PASSWORD)
    with pytest.raises(PostgresMisconfigured, match=r"lacks 0001_history_initial, .*run python -m history migrate"):
        await require_schema(dsn, "history")
    await migrate(owner, "history")
    await require_schema(dsn, "history")
    connection = await asyncpg.connect(owner)
    await connection.execute("DELETE FROM public._pogo_migration WHERE migration_id = '0004_history_link_keys'")
    with pytest.raises(PostgresMisconfigured, match=r"lacks 0004_history_link_keys: run"):
        await require_schema(dsn, "history")
    # An older release over a newer schema, as after a step back.
    await connection.execute(
        "INSERT INTO public._pogo_migration VALUES ('a', '0004_history_link_keys', now(), 'history'), "
        "('b', '9999_history_newer', now(), 'history')"
    )
    await connection.close()
    await require_schema(dsn, "history")


async def test_E5_only_the_roles_of_sluice_connect_to_its_database(postgres: Databases) -> None:
    dsn = await provisioned(postgres, "history")
    name = name_database(dsn)
    admin = await asyncpg.connect(postgres.admin_dsn)
    try:
        await admin.execute("CREATE ROLE stranger LOGIN PASSWORD 'test-password'")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
            await asyncpg.connect(postgres.dsn(name, role="stranger", password="test-password"))
    finally:
        await admin.execute("DROP ROLE IF EXISTS stranger")
        await admin.close()
    for role in (OWNER, *ROLES):
        connection = await asyncpg.connect(postgres.dsn(name, role=role, password=PASSWORD))
        await connection.close()


async def test_a_rejected_login_and_an_unprepared_database_are_errors_that_say_what_to_do(postgres: Databases) -> None:
    admin = await postgres.create()
    name = admin.rpartition("/")[2]
    with pytest.raises(PostgresMisconfigured, match=r"password .*python -m shared.provision"):
        await migrate(postgres.dsn(name, role="nobody_of_this_name", password="geheim"), "history")
    with pytest.raises(PostgresMisconfigured, match=r'"no_such_database" does not exist'):
        async with open_pool(postgres.dsn("no_such_database"), size=2, name="test"):
            pass
    with pytest.raises(PostgresUnavailable, match=r"connecting to 127\.0\.0\.1:1\)") as unavailable:
        await require_schema("postgresql://history:geheim@127.0.0.1:1/sluice", "history")
    assert "geheim" not in str(unavailable.value)
    with pytest.raises(PostgresMisconfigured, match="not understood") as caught:
        await require_schema("postgresql://history:geheim@[/sluice", "history")
    assert "geheim" not in str(caught.value)
    dsn = await provisioned(postgres, "history")
    other = await postgres.create()
    with pytest.raises(PostgresMisconfigured, match=r"Prepare the database first: python -m shared\.provision"):
        await migrate(postgres.owner_dsn(other.rpartition("/")[2], "history"), "history")
    with pytest.raises(PostgresMisconfigured, match="must name a role that may create roles and schemas"):
        await provision(ProvisionSettings(admin_dsn=dsn, **PASSWORDS))
