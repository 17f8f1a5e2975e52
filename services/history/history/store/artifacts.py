"""The table of artifacts: reads of one tenant, and removal."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from history.store import SQL
from history.store.lists import ARTIFACT_COLUMNS, ARTIFACTS
from shared.events import FilesExpired
from shared.http.lists import Page, PageRequest
from shared.postgres import Connection, Pool, Record, connection

_FIND = SQL["artifacts_of"].replace("{columns}", ARTIFACT_COLUMNS)


class ArtifactStore:
    """Reads and removes artifacts. Every method raises PostgresUnavailable.

    Methods that take a connection are part of its transaction.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list_page(self, tenant_id: UUID, request: PageRequest) -> Page[Record]:
        """Return a page of a tenant's artifacts."""
        async with connection(self._pool) as database:
            return await ARTIFACTS.fetch(database, tenant_id, request)

    async def count(self, tenant_id: UUID, filters: Mapping[str, Any]) -> list[Record]:
        """Return the number of the latest 100,000 artifacts by state and type together."""
        values: list[Any] = [tenant_id]
        statement = SQL["count_artifacts"].format(conditions=ARTIFACTS.where(filters, values))
        async with connection(self._pool) as database:
            return await database.fetch(statement, *values)

    async def find(self, tenant_id: UUID, artifact_ids: Sequence[UUID]) -> list[Record]:
        """Return those of a tenant's artifacts that have these ids."""
        async with connection(self._pool) as database:
            return await database.fetch(_FIND, tenant_id, list(artifact_ids))

    async def count_files(self, run_ids: Sequence[UUID]) -> list[Record]:
        """Return for each kind of file of these runs how many there are, how many are available, and their sizes."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["file_sets"], list(run_ids))

    async def count_overdue(self, at: datetime, kept: timedelta) -> int:
        """Return how many files are available although they had expired at an instant."""
        async with connection(self._pool) as database:
            return int(await database.fetchval(SQL["count_overdue"], at, kept))

    async def lock_expired(self, database: Connection, *, now: datetime, kept: timedelta, limit: int) -> list[Record]:
        """Return at most `limit` expired files of all tenants, locked; those that others have locked are skipped.

        Files that are kept no longer because they are delivered (rule D10) are among them.
        """
        days = await database.fetchval(SQL["shortest_retention"])
        before = now - (min(kept, timedelta(days=days)) if days else kept)
        rows = await database.fetch(SQL["claim_expired"], before, now, kept, limit)
        claimed = {row["artifact_id"] for row in rows}
        delivered = await database.fetch(SQL["claim_delivered"], now, limit)
        return [*rows, *(row for row in delivered if row["artifact_id"] not in claimed)][:limit]

    async def lock(self, database: Connection, tenant_id: UUID, artifact_ids: Sequence[UUID]) -> list[Record]:
        """Return those of a tenant's artifacts that are available, locked."""
        return await database.fetch(SQL["claim_artifacts"], tenant_id, list(artifact_ids))

    async def mark_removed(
        self, database: Connection, rows: Sequence[Record], *, at: datetime, by: UUID | None
    ) -> list[FilesExpired]:
        """Mark files as removed by a user, or as expired; return the events to publish."""
        events = list(_to_events(rows, at, by))
        removed = [(each, path) for each in events for path in each.objects]
        statement = SQL.bind(
            "remove_artifacts",
            run_id=[each.run_id for each, _ in removed],
            object=[path for _, path in removed],
            reason=[each.reason for each, _ in removed],
            at=[at] * len(removed),
            removed_by=[by] * len(removed),
        )
        if removed:
            await database.execute(*statement)
        return events

    async def save_faults(
        self, database: Connection, rows: Sequence[Record], faults: Mapping[str, str], *, at: datetime
    ) -> None:
        """Note why files are still in the store, by object; each is tried again later."""
        refused = [(row["artifact_id"], faults[row["object"]]) for row in rows if row["object"] in faults]
        if refused:
            ids, reasons = zip(*refused, strict=True)
            await database.execute(SQL["save_removal_faults"], list(ids), list(reasons), at)

    async def count_refused(self) -> int:
        """Return how many files the store has refused to delete."""
        async with connection(self._pool) as database:
            return int(await database.fetchval(SQL["count_refused"]))

    async def count_download(self, database: Connection, artifact_ids: Sequence[UUID], at: datetime) -> None:
        """Count a download of each of these artifacts."""
        await database.execute(SQL["count_download"], list(artifact_ids), at)


def _to_events(rows: Sequence[Record], at: datetime, by: UUID | None) -> Iterator[FilesExpired]:
    for run_id, group in groupby(sorted(rows, key=_run_id_of), key=_run_id_of):
        files = list(group)
        yield FilesExpired(
            job_id=files[0]["job_id"],
            tenant_id=files[0]["tenant_id"],
            run_id=run_id,
            objects=tuple(row["object"] for row in files),
            reason="expired" if by is None else "deleted",
            removed_by=by,
            at=at,
        )


def _run_id_of(row: Record) -> UUID:
    run_id: UUID = row["run_id"]
    return run_id
