"""Prepares a database for Sluice with an administrator's rights: a role and a schema for each service.

`python -m shared.provision` is idempotent, and sets each role's password to the given one.
"""

import asyncio
import os
import sys
from typing import ClassVar

import asyncpg
from pogo_core.util import sql as pogo
from pydantic import BaseModel, ConfigDict, Field

from shared.errors import SluiceError
from shared.postgres import PostgresMisconfigured, connect
from shared.settings import load

ROLES = ("job_api", "scheduler", "exporter", "history")


class ProvisionSettings(BaseModel):
    """The administrator's DSN and a password for each service's role."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    service: ClassVar[str] = "provision"

    admin_dsn: str = Field(description="DSN of a role that may create roles and schemas in Sluice's database")
    job_api_password: str = Field(min_length=8, description="password of the role job_api")
    scheduler_password: str = Field(min_length=8, description="password of the role scheduler")
    exporter_password: str = Field(min_length=8, description="password of the role exporter")
    history_password: str = Field(min_length=8, description="password of the role history")


async def provision(settings: ProvisionSettings) -> None:
    """Create what is missing: roles, schemas of the same names, and the table that records migrations.

    Other roles than these and the database's owner can no longer connect to the database.

    Raises PostgresUnavailable or PostgresMisconfigured.
    """
    async with connect(settings.admin_dsn, name="sluice provision") as database:
        try:
            async with database.transaction():
                await database.execute("SELECT pg_advisory_xact_lock(hashtext('sluice provision'))")
                for role in ROLES:
                    await _provision_role(database, role, str(getattr(settings, f"{role}_password")))
                # Any role of the server may connect otherwise, also the one that reads a contact history on it.
                name = await database.fetchval("SELECT quote_ident(current_database())")
                await database.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC")
                await pogo.ensure_pogo_sync(database)
                for role in ROLES:
                    await database.execute(f"GRANT SELECT, INSERT, DELETE ON public._pogo_migration TO {role}")
                    await database.execute(f"GRANT SELECT ON public._pogo_version TO {role}")
        except asyncpg.InsufficientPrivilegeError as error:
            raise PostgresMisconfigured(
                f"PostgreSQL rejected the command: {error}. "
                "SLUICE_PROVISION_ADMIN_DSN must name a role that may create roles and schemas."
            ) from error


async def _provision_role(database: "asyncpg.Connection[asyncpg.Record]", role: str, password: str) -> None:
    # Names come from ROLES and need no quoting; the password is quoted by the server.
    exists = await database.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
    verb = "ALTER" if exists else "CREATE"
    statement = await database.fetchval(f"SELECT format('{verb} ROLE {role} LOGIN PASSWORD %L', $1::text)", password)
    await database.execute(statement)
    name = await database.fetchval("SELECT quote_ident(current_database())")
    await database.execute(f"GRANT {role} TO current_user")
    await database.execute(f"CREATE SCHEMA IF NOT EXISTS {role} AUTHORIZATION {role}")
    await database.execute(f"ALTER ROLE {role} IN DATABASE {name} SET search_path = {role}")
    # TEMPORARY: history's rebuild fills temporary tables first.
    await database.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {role}")


def main() -> None:
    """Provision as `SLUICE_PROVISION_*` in the environment say; exit with a message on failure."""
    try:
        asyncio.run(provision(load(ProvisionSettings, "PROVISION", os.environ)))
    except SluiceError as error:
        sys.exit(f"python -m shared.provision: {error}")


if __name__ == "__main__":
    main()
