"""The table of links: short-lived permissions to download a file without a login; only hashes of their secrets."""

from datetime import datetime, timedelta
from uuid import UUID

from history.store import SQL
from shared.auth import Identity
from shared.postgres import Connection, Pool, Record, connection

LINK_LIFETIME = timedelta(minutes=15)


class LinkStore:
    """Writes and finds links. Every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(
        self, database: Connection, identity: Identity, artifact_id: UUID, *, secret_hash: str, expires_at: datetime
    ) -> None:
        """Add a link of the caller's to a file, in the connection's transaction."""
        statement = SQL.bind(
            "add_link",
            secret_hash=secret_hash,
            tenant_id=identity.tenant_id,
            artifact_id=artifact_id,
            user_id=identity.user_id,
            name=identity.name,
            expires_at=expires_at,
        )
        await database.execute(*statement)

    async def find(self, secret_hash: str, now: datetime) -> Record | None:
        """Return the file and the creator of a link that has not expired."""
        async with connection(self._pool) as database:
            return await database.fetchrow(SQL["find_link"], secret_hash, now)

    async def drop_expired(self, now: datetime) -> None:
        """Delete expired links."""
        async with connection(self._pool) as database:
            await database.execute(SQL["drop_links"], now)
