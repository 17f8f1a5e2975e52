"""Prepares a database for Sluice with an administrator's rights: roles, and a schema for each service.

`python -m shared.provision` is idempotent, and sets each role's password to the given one. One role, `sluice_owner`,
owns all schemas and what is in them; migrations log in with it. A service's role may read and write the rows of its own
tables and nothing else, so it cannot change or disable what protects them. What migrations create later is granted by
default privileges.
"""

import asyncio
import os
import sys
from collections.abc import Mapping
from typing import ClassVar, Self, TypeAlias
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import asyncpg
from pogo_core.util import sql as pogo
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.errors import SluiceError
from shared.postgres import PostgresMisconfigured, connect
from shared.settings import load

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

OWNER = "sluice_owner"
"""The role that owns every schema, and that migrations log in with."""
SCHEMAS: Mapping[str, tuple[str, ...]] = {
    "job_api": ("job_api", "job_api_system"),
    "scheduler": ("scheduler",),
    "exporter": ("exporter",),
    "history": ("history",),
}
"""The schema of each service, and the roles that use it; the first has the schema's name."""
ROLES = tuple(role for roles in SCHEMAS.values() for role in roles)
"""The roles that the services log in with."""
_OPTIONS = "LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB"


class ProvisionSettings(BaseModel):
    """The administrator's DSN and a password for each role."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    service: ClassVar[str] = "PROVISION"

    admin_dsn: str = Field(description="DSN of a role that may create roles and schemas in Sluice's database")
    database: str | None = Field(
        None, min_length=1, description="the database to prepare, where the DSN names another, or none"
    )
    owner_password: str = Field(min_length=8, description="password of the role sluice_owner, which migrates")
    job_api_password: str = Field(min_length=8, description="password of the role job_api")
    job_api_system_password: str = Field(min_length=8, description="password of the role job_api_system")
    scheduler_password: str = Field(min_length=8, description="password of the role scheduler")
    exporter_password: str = Field(min_length=8, description="password of the role exporter")
    history_password: str = Field(min_length=8, description="password of the role history")

    @property
    def dsn(self) -> str:
        """The administrator's DSN of the database to prepare."""
        if self.database is None:
            return self.admin_dsn
        return urlunsplit(urlsplit(self.admin_dsn)._replace(path=f"/{quote(self.database)}"))

    @model_validator(mode="after")
    def _names_one_database(self) -> Self:
        if self.database is None and unquote(urlsplit(self.admin_dsn).path) == "/*":
            raise ValueError(
                "SLUICE_PROVISION_ADMIN_DSN names the database *, which means any: set SLUICE_PROVISION_DATABASE"
            )
        return self


async def provision(settings: ProvisionSettings) -> None:
    """Create what is missing: roles, schemas, privileges, and the table that records migrations.

    Schemas and tables of earlier releases, which belonged to the services' roles, become the owner's. Other roles than
    these and the database's owner can no longer connect to the database.

    Raises PostgresUnavailable or PostgresMisconfigured.
    """
    async with connect(settings.dsn, name="sluice provision") as database:
        try:
            async with database.transaction():
                await database.execute("SELECT pg_advisory_xact_lock(hashtext('sluice provision'))")
                await _create_role(database, OWNER, settings.owner_password)
                for role in ROLES:
                    await _create_role(database, role, str(getattr(settings, f"{role}_password")))
                # Any role of the server may connect otherwise, also the one that reads a contact history on it.
                name = await database.fetchval("SELECT quote_ident(current_database())")
                await database.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC")
                await database.execute(f"GRANT CONNECT ON DATABASE {name} TO {OWNER}, {', '.join(ROLES)}")
                # history's rebuild fills temporary tables first.
                await database.execute(f"GRANT TEMPORARY ON DATABASE {name} TO {OWNER}, history")
                for schema, roles in SCHEMAS.items():
                    await _provision_schema(database, schema, roles)
                await _grant_migrations(database)
        except asyncpg.InsufficientPrivilegeError as error:
            raise PostgresMisconfigured(
                f"PostgreSQL rejected the command: {error}. "
                "SLUICE_PROVISION_ADMIN_DSN must name a role that may create roles and schemas."
            ) from error


async def _create_role(database: Connection, role: str, password: str) -> None:
    # Names come from this module and need no quoting; the password is quoted by the server.
    exists = await database.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
    statement = f"format('ALTER ROLE {role} LOGIN PASSWORD %L', $1::text)"
    if not exists:
        statement = f"format('CREATE ROLE {role} {_OPTIONS} PASSWORD %L', $1::text)"
    await database.execute(await database.fetchval(f"SELECT {statement}", password))
    # To create and reassign what belongs to a role takes its membership.
    await database.execute(f"GRANT {role} TO current_user")


async def _provision_schema(database: Connection, schema: str, roles: tuple[str, ...]) -> None:
    name = await database.fetchval("SELECT quote_ident(current_database())")
    users = ", ".join(roles)
    # Before this release the service's role owned its schema and everything in it.
    await database.execute(f"REASSIGN OWNED BY {users} TO {OWNER}")
    await database.execute(f"CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {OWNER}")
    await database.execute(f"GRANT USAGE ON SCHEMA {schema} TO {users}")
    for role in roles:
        await database.execute(f"ALTER ROLE {role} IN DATABASE {name} SET search_path = {schema}")
    defaults = f"ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} IN SCHEMA {schema}"
    await database.execute(f"{defaults} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {users}")
    await database.execute(f"{defaults} GRANT USAGE ON SEQUENCES TO {users}")
    # What is older than these defaults has no list of privileges yet. Others keep theirs: a migration may revoke some.
    for row in await database.fetch(
        """
        SELECT format('%I.%I', $1::text, relname) AS relation, relkind = 'S' AS is_sequence
        FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'p', 'v', 'S') AND relacl IS NULL
        """,
        schema,
    ):
        rights = "USAGE ON SEQUENCE" if row["is_sequence"] else "SELECT, INSERT, UPDATE, DELETE ON TABLE"
        await database.execute(f"GRANT {rights} {row['relation']} TO {users}")


async def _grant_migrations(database: Connection) -> None:
    """Let the owner record migrations, and the services read which there are."""
    await pogo.ensure_pogo_sync(database)
    for table in ("public._pogo_migration", "public._pogo_version"):
        await database.execute(f"REVOKE ALL ON {table} FROM {', '.join(ROLES)}")
        await database.execute(f"GRANT SELECT ON {table} TO {OWNER}, {', '.join(ROLES)}")
    await database.execute(f"GRANT INSERT, DELETE ON public._pogo_migration TO {OWNER}")


def main() -> None:
    """Provision as `SLUICE_PROVISION_*` in the environment say; exit with a message on failure."""
    try:
        asyncio.run(provision(load(ProvisionSettings, ProvisionSettings.service, os.environ)))
    except SluiceError as error:
        sys.exit(f"python -m shared.provision: {error}")


if __name__ == "__main__":
    main()
