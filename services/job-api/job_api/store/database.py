"""Connections that see the rows of one tenant only, whatever a query omits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any, Literal
from uuid import UUID

from shared.postgres import Connection, Pool, Record, connection
from shared.queries import load_queries

SQL = load_queries("job_api")
SERVICE = "job-api"
"""The name of this service: the source of its events and the name of its connections."""
ALL_TENANTS: Literal["all"] = "all"
"""The scope of work outside any tenant's request: login, tokens, events, housekeeping."""
Scope = UUID | Literal["all"]


class Database:
    """Provides connections with a scope; without a scope, row-level security hides every row."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def read(self, scope: Scope) -> AsyncIterator[Connection]:
        """Provide a connection for reading, outside a transaction; the pool resets the scope on release.

        Raises PostgresUnavailable.
        """
        async with connection(self._pool) as database:
            await database.execute(SQL["set_scope"], str(scope))
            yield database

    @asynccontextmanager
    async def read_without_scope(self) -> AsyncIterator[Connection]:
        """Provide a connection that sees no row, for a query that sets its scope itself. Raises PostgresUnavailable."""
        async with connection(self._pool) as database:
            yield database

    @asynccontextmanager
    async def transaction(self, scope: Scope) -> AsyncIterator[Connection]:
        """Provide a connection within one transaction. Raises PostgresUnavailable."""
        async with connection(self._pool) as database:
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
