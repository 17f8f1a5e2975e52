"""U3: what the services' roles may do in PostgreSQL, and that an earlier installation comes to the same."""

import shutil
from importlib.resources import files
from itertools import product
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from pogo_core.util import migrate as pogo
from pogo_core.util import sql as pogo_sql

from shared.postgres import PostgresMisconfigured, migrate, require_schema
from shared.provision import OWNER, ROLES, SCHEMAS, ProvisionSettings, provision
from tests.support.servers import PASSWORD, PASSWORDS, Databases

FORBIDDEN = (
    "ALTER TABLE {schema}.outbox DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE {schema}.outbox DISABLE TRIGGER ALL",
    "ALTER TABLE {schema}.outbox OWNER TO {role}",
    "ALTER FUNCTION {schema}.outbox_notify() OWNER TO {role}",
    "CREATE OR REPLACE FUNCTION {schema}.outbox_notify() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    "DROP TABLE {schema}.outbox",
    "TRUNCATE {schema}.outbox",
    "CREATE TABLE {schema}.intruder (a integer)",
    "CREATE TABLE public.intruder (a integer)",
    "CREATE SCHEMA intruder",
    "DROP SCHEMA {schema} CASCADE",
    "GRANT {owner} TO {role}",
    "ALTER ROLE {role} BYPASSRLS",
    "SET ROLE {owner}",
    "SET SESSION AUTHORIZATION {owner}",
    "DELETE FROM public._pogo_migration",
)
POLICIES = (
    "ALTER TABLE job DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE job NO FORCE ROW LEVEL SECURITY",
    "DROP POLICY own_tenant ON job",
    "ALTER POLICY own_tenant ON job USING (true)",
    "CREATE POLICY mine ON job USING (true)",
    "CREATE OR REPLACE FUNCTION in_scope(tenant uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true'",
    "SET row_security = off; SELECT * FROM tenant",
    "SET ROLE job_api_system",
    "SELECT * FROM outbox",
    "DELETE FROM outbox",
)
# What `shared.provision` did before there was an owner, and its settings of one database.
EARLIER = """
CREATE SCHEMA job_api AUTHORIZATION job_api;
ALTER ROLE job_api IN DATABASE "{name}" SET search_path = job_api;
GRANT CONNECT, TEMPORARY ON DATABASE "{name}" TO job_api;
GRANT SELECT, INSERT, DELETE ON public._pogo_migration TO job_api;
GRANT SELECT ON public._pogo_version TO job_api;
"""

HAS_ALL = "SELECT bool_and(has_table_privilege($1, 'job_api.' || name, $2)) FROM unnest($3::text[]) AS name"
OWNERS = """
SELECT relowner::regrole::text AS owner FROM pg_class WHERE relnamespace = 'job_api'::regnamespace
UNION SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'job_api'
UNION SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'job_api'::regnamespace
"""


async def migrated(postgres: Databases) -> str:
    """Return the name of a database with the tables of all services."""
    return (await postgres.create_migrated()).rpartition("/")[2]


@pytest.mark.parametrize("role", ROLES)
async def test_U3_a_services_role_owns_nothing_and_cannot_become_another(postgres: Databases, role: str) -> None:
    (schema,) = (schema for schema, roles in SCHEMAS.items() if role in roles)
    connection = await asyncpg.connect(postgres.dsn(await migrated(postgres), role=role, password=PASSWORD))
    try:
        for statement in FORBIDDEN:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement.format(schema=schema, role=role, owner=OWNER))
        for other in {OWNER, *ROLES} - {role}:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SET ROLE {other}")
        for other in SCHEMAS.keys() - {schema}:
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match=f"schema {other}"):
                await connection.execute(f"SELECT * FROM {other}.outbox")
        owned = "SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole AND relpersistence <> 't'"
        assert await connection.fetchval(owned) == 0
    finally:
        await connection.close()


async def test_U3_the_role_of_requests_cannot_see_more_than_one_tenant_by_any_setting(postgres: Databases) -> None:
    name, first, second = await migrated(postgres), uuid4(), uuid4()
    system = await asyncpg.connect(postgres.dsn(name, role="job_api_system", password=PASSWORD))
    requests = await asyncpg.connect(postgres.dsn(name, role="job_api", password=PASSWORD))
    try:
        assert await system.fetchval("SELECT count(*) FROM tenant") == 0, "without a scope not even the system's role"
        await system.execute("SET job_api.scope = 'all'")
        insert = "INSERT INTO tenant VALUES ($1, $1::uuid::text, $2, '{}', now(), $1::uuid::text)"
        for number, tenant in enumerate((first, second)):
            await system.execute(insert, tenant, number)
        assert await system.fetchval("SELECT count(*) FROM tenant") == 2
        for scope in ("", "all", "ALL", "%", "job_api_system", str(uuid4())):
            await requests.execute("SELECT set_config('job_api.scope', $1, false)", scope)
            for table in ("tenant", "app_user", "identity", "certificate", "job", "run_view", "audit", "deletion"):
                assert await requests.fetchval(f"SELECT count(*) FROM {table}") == 0, (scope, table)
            assert await requests.execute("UPDATE tenant SET name = 'mine'") == "UPDATE 0"
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
                await requests.execute(insert, uuid4(), 9)
        await requests.execute("SELECT set_config('job_api.scope', $1, false)", str(first))
        assert await requests.fetchval("SELECT array_agg(tenant_id) FROM tenant") == [first]
        for statement in POLICIES:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await requests.execute(statement)
    finally:
        await system.close()
        await requests.close()


async def test_what_a_later_migration_creates_needs_no_grant_of_its_own(postgres: Databases) -> None:
    name = await migrated(postgres)
    owner = await asyncpg.connect(postgres.owner_dsn(name, "history"))
    service = await asyncpg.connect(postgres.dsn(name, role="history", password=PASSWORD))
    try:
        await owner.execute("CREATE TABLE later (id serial, a text); CREATE VIEW latest AS SELECT max(a) FROM later")
        await owner.execute("CREATE FUNCTION twice(a integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * a'")
        await service.execute("INSERT INTO later (a) VALUES ('a')")
        assert await service.execute("UPDATE later SET a = 'b'") == "UPDATE 1"
        assert await service.fetchval("SELECT max FROM latest") == "b"
        assert await service.fetchval("SELECT twice(id) FROM later") == 2
        assert await service.execute("DELETE FROM later") == "DELETE 1"
    finally:
        await owner.close()
        await service.close()


async def test_an_installation_whose_tables_belong_to_the_services_is_taken_over(
    postgres: Databases, tmp_path: Path
) -> None:
    admin = await postgres.create()
    name = admin.rpartition("/")[2]
    await postgres.create_provisioned()  # the roles, which belong to the whole server
    for path in files("job_api").joinpath("sql", "migrations").iterdir():
        if path.name.endswith((".sql", ".py")) and path.name < "0015_job_api_roles":
            shutil.copy(str(path), tmp_path)
    database = await asyncpg.connect(admin)
    service = postgres.dsn(name, role="job_api", password=PASSWORD)
    try:
        await pogo_sql.ensure_pogo_sync(database)
        await database.execute(EARLIER.format(name=name))
        connection = await asyncpg.connect(service)
        await pogo.apply(connection, tmp_path, schema_name="job_api")
        await connection.close()
        with pytest.raises(PostgresMisconfigured, match=r"owns tables of job_api, .*run python -m shared\.provision"):
            await require_schema(service, "job_api")
        # A table of which a migration has revoked something keeps that when it is provisioned again.
        for _ in range(2):
            await provision(ProvisionSettings(admin_dsn=admin, **PASSWORDS))
            await migrate(postgres.owner_dsn(name, "job_api"), "job_api")
            await require_schema(service, "job_api")
            assert [row["owner"] for row in await database.fetch(OWNERS)] == [OWNER]
            rights = "SELECT has_table_privilege('job_api', 'job_api.outbox', $1)"
            assert await database.fetchval(rights, "INSERT")
            assert not await database.fetchval(rights, "SELECT")
            for role, right in product(SCHEMAS["job_api"], ("SELECT", "INSERT", "UPDATE", "DELETE")):
                assert await database.fetchval(HAS_ALL, role, right, ["job", "throttle", "deletion"]), (role, right)
    finally:
        await database.close()


async def test_no_process_starts_as_a_role_that_could_disable_the_rules(postgres: Databases) -> None:
    name = await migrated(postgres)
    for dsn in (postgres.owner_dsn(name, "history"), postgres.dsn(name)):
        with pytest.raises(PostgresMisconfigured, match="not subject to row-level security"):
            await require_schema(dsn, "history")
