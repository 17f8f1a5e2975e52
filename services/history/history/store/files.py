"""What happens to files: their removal, with the event that tells it, and who did what."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal
from uuid import UUID

from history.store import SOURCE, SQL
from shared import outbox
from shared.auth import Identity
from shared.events import FilesExpired
from shared.postgres import Connection, Pool, Record, connection, transaction

Action = Literal[
    "download", "download-archive", "make-link", "delete-file", "cancel-run", "remove-run", "set-retention"
]


@dataclass(frozen=True, slots=True)
class Removing:
    """Files whose rows are locked for removal."""

    database: Connection
    rows: Sequence[Record]


class Files:
    """Removal, retention, audit and links."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def expired(self, now: datetime, kept: timedelta, limit: int) -> AsyncIterator[Removing]:
        """Lock files whose time is over."""
        async with transaction(self._pool) as database:
            days = await database.fetchval(SQL["shortest_retention"])
            before = now - (min(kept, timedelta(days=days)) if days else kept)
            yield Removing(database, await database.fetch(SQL["claim_expired"], before, now, kept, limit))

    async def count_overdue(self, at: datetime, kept: timedelta) -> int:
        """Return how many files are still there though their time was over at an instant."""
        async with connection(self._pool) as database:
            return int(await database.fetchval(SQL["count_overdue"], at, kept))

    @asynccontextmanager
    async def chosen(self, tenant_id: UUID, artifact_ids: Sequence[UUID]) -> AsyncIterator[Removing]:
        """Lock those of a tenant's files that are still there."""
        async with transaction(self._pool) as database:
            yield Removing(database, await database.fetch(SQL["claim_artifacts"], tenant_id, artifact_ids))

    async def removed(self, removing: Removing, now: datetime, *, by: UUID | None = None) -> None:
        """Note that the files are gone, and write the events that tell it."""
        told = []
        for run_id, group in groupby(sorted(removing.rows, key=_run_id), key=_run_id):
            rows = list(group)
            told.append(
                FilesExpired(
                    job_id=rows[0]["job_id"],
                    tenant_id=rows[0]["tenant_id"],
                    run_id=run_id,
                    objects=tuple(row["object"] for row in rows),
                    reason="expired" if by is None else "deleted",
                    removed_by=by,
                    at=now,
                )
            )
        gone = [(each.run_id, name, each.reason, each.at, by) for each in told for name in each.objects]
        if gone:
            columns = [list(column) for column in zip(*gone, strict=True)]
            await removing.database.execute(SQL["remove_artifacts"], *columns)
            await outbox.write(removing.database, told, source=SOURCE, at=now)

    async def note(
        self,
        who: Identity,
        action: Action,
        object_ids: Sequence[UUID],
        database: "Connection | None" = None,
        **details: object,
    ) -> None:
        """Note who did what, in the caller's transaction where one is given."""
        values = (who.tenant_id, who.user_id, who.name, action, list(object_ids), details)
        if database is not None:
            await database.execute(SQL["add_audit"], *values)
            return
        async with connection(self._pool) as acquired:
            await acquired.execute(SQL["add_audit"], *values)

    async def audit(self, tenant_id: UUID, *, before: int | None, action: str | None, limit: int) -> list[Record]:
        """Return what was done, newest first."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["list_audit"], tenant_id, before, action, limit)

    async def retention(self, tenant_id: UUID) -> int | None:
        """Return how many days a tenant wants its files kept, where it has said so."""
        async with connection(self._pool) as database:
            days: int | None = await database.fetchval(SQL["retention_of"], tenant_id)
        return days

    async def set_retention(self, who: Identity, days: int, *, was: int) -> None:
        """Note how many days the tenant wants its files kept."""
        async with transaction(self._pool) as database:
            await database.execute(SQL["set_retention"], who.tenant_id, days)
            await self.note(who, "set-retention", [who.tenant_id], database, before=was, after=days)

    async def add_link(
        self, who: Identity, artifact_id: UUID, secret_hash: str, until: datetime, *, key: str | None
    ) -> datetime | None:
        """Note a link that works until then; return when it ends, None where `key` was used for another one.

        The same link under the same key is the one that is there.
        """
        values = (secret_hash, who.tenant_id, artifact_id, who.user_id, who.name, until, key)
        async with transaction(self._pool) as database:
            ends: datetime | None = await database.fetchval(SQL["add_link"], *values)
            if ends is not None:
                await self.note(who, "make-link", [artifact_id], database, expires_at=until.isoformat())
                return ends
            known = await database.fetchrow(SQL["link_under_key"], who.tenant_id, who.user_id, key)
        same = known is not None and (known["secret_hash"], known["artifact_id"]) == (secret_hash, artifact_id)
        return known["expires_at"] if known is not None and same else None

    async def link(self, secret_hash: str, now: datetime) -> Record | None:
        """Return whose link this is, while it works."""
        async with connection(self._pool) as database:
            return await database.fetchrow(SQL["find_link"], secret_hash, now)

    async def drop_links(self, now: datetime) -> None:
        """Forget links that no longer work."""
        async with connection(self._pool) as database:
            await database.execute(SQL["drop_links"], now)


def _run_id(row: Record) -> UUID:
    run_id: UUID = row["run_id"]
    return run_id
