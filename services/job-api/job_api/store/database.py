"""Connections that see one tenant's rows and no other's, whatever a query forgets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any, Literal
from uuid import UUID

from shared.postgres import Connection, Pool, Record, connection
from shared.queries import load_queries

SQL = load_queries("job_api")
SOURCE = "job-api"
EVERYBODY: Literal["all"] = "all"
"""The scope of what belongs to no tenant's request: login, tokens, events, housekeeping."""
Scope = UUID | Literal["all"]


class Database:
    """Gives connections in a scope; without one, row-level security shows nothing."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def looking(self, scope: Scope) -> AsyncIterator[Connection]:
        """Give a connection for reading, outside a transaction; the pool forgets the scope when it comes back."""
        async with connection(self._pool) as database:
            await database.execute(SQL["scope"], str(scope))
            yield database

    @asynccontextmanager
    async def blind(self) -> AsyncIterator[Connection]:
        """Give a connection that sees nothing, for a query that says its scope itself."""
        async with connection(self._pool) as database:
            yield database

    @asynccontextmanager
    async def changing(self, scope: Scope) -> AsyncIterator[Connection]:
        """Give a connection within one transaction."""
        async with connection(self._pool) as database:
            # Begun and scoped in one go; an id, or the word for all, needs no quoting.
            await database.execute(f"BEGIN; SET LOCAL job_api.scope = '{scope}'")
            try:
                yield database
            except BaseException:
                if not database.is_closed():
                    await database.execute("ROLLBACK")
                raise
            await database.execute("COMMIT")


def taken(row: Record, kind: type[Any]) -> dict[str, Any]:
    """Return of a row what a dataclass has fields for."""
    return {each.name: row[each.name] for each in fields(kind)}


async def rescope(database: Connection, scope: Scope) -> None:
    """Set whose rows the rest of a transaction sees."""
    await database.execute(SQL["scope_transaction"], str(scope))
