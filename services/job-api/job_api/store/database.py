"""Connections that see the rows of one tenant only, whatever a query omits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Any, Literal, Self
from uuid import UUID

from shared.postgres import Connection, Pool, Record, connection, open_pool
from shared.queries import load_queries

SQL = load_queries("job_api")
SERVICE = "job-api"
"""The name of this service: the source of its events and the name of its connections."""
ALL_TENANTS: Literal["all"] = "all"
"""The scope of work outside any tenant's request (login, tokens, events, housekeeping), for the system's role alone."""
Scope = UUID | Literal["all"]


@dataclass(frozen=True)
class Pools:
    """The connections of the two roles: `tenant` sees one tenant's rows, only `system` may see all.

    What one role may see is the server's decision, so a statement in a tenant's request cannot widen its own scope.
    """

    tenant: Pool
    system: Pool

    @classmethod
    @asynccontextmanager
    async def open(cls, tenant_dsn: str, system_dsn: str, *, size: int, name: str) -> AsyncIterator[Self]:
        """Open at most `size` connections of the tenant's role, and half as many of the system's.

        Raises PostgresUnavailable or PostgresMisconfigured.
        """
        async with (
            open_pool(tenant_dsn, size=size, name=name) as tenant,
            open_pool(system_dsn, size=max(2, size // 2), name=f"{name} system") as system,
        ):
            yield cls(tenant, system)


class Database:
    """Provides connections with a scope; without a scope, row-level security hides every row."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    def _pool_of(self, scope: Scope) -> Pool:
        return self._pools.system if scope == ALL_TENANTS else self._pools.tenant

    @asynccontextmanager
    async def read(self, scope: Scope) -> AsyncIterator[Connection]:
        """Provide a connection for reading, outside a transaction; the pool resets the scope on release.

        Raises PostgresUnavailable.
        """
        async with connection(self._pool_of(scope)) as database:
            await database.execute(SQL["set_scope"], str(scope))
            yield database

    @asynccontextmanager
    async def read_without_scope(self) -> AsyncIterator[Connection]:
        """Provide a connection that sees no row, for a query that sets its scope itself. Raises PostgresUnavailable."""
        async with connection(self._pools.tenant) as database:
            yield database

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[Connection]:
        """Provide a connection within one transaction. Raises PostgresUnavailable."""
        async with connection(self._pool_of(scope)) as database:
            # One round trip for both; a UUID or the word "all" needs no quoting.
            await database.execute(f"BEGIN; SET LOCAL job_api.scope = '{scope}'")
            try:
                yield database
            except BaseException:
                if not database.is_closed():
                    await database.execute("ROLLBACK")
                raise
            await database.execute("COMMIT")


def select_fields(row: Record, kind: type[Any]) -> dict[str, Any]:
    """Return the columns of a row that a dataclass has fields for."""
    return {each.name: row[each.name] for each in fields(kind)}


async def set_scope(database: Connection, scope: Scope) -> None:
    """Set whose rows the rest of the transaction sees."""
    await database.execute(SQL["set_transaction_scope"], str(scope))
