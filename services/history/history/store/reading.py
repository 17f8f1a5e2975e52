"""The run log as it is read over HTTP: a query and rows, by tenant, nothing decided here."""

from collections.abc import Collection, Sequence
from uuid import UUID

import asyncpg

from history.errors import PlaceNotUnderstood
from history.store import SQL
from history.store.listing import (
    ArtifactFilter,
    Page,
    RunFilter,
    artifact_counts,
    artifact_page,
    run_counts,
    run_page,
)
from shared.auth import Identity, Token, is_genuine, is_live
from shared.clock import Clock, SystemClock
from shared.postgres import Pool, Record, connection

_RUN = """run_id, job_id, tenant_id, version, state, removed_at, created_at, slot, cause, title, source, type, settings,
    fate_reason, queued_at, started_at, ended_at, attempt, exporter, window_start, window_end, recipients, reason,
    message, retry_at, ended_by, rows, bytes_raw, bytes_packed, files, manifest, data_complete_through, progress_at,
    phase, units_done, units_total, total_exact, bytes_done, slices, estimated_at, progress, eta_seconds, eta_low,
    eta_high"""
_ARTIFACT = """artifact_id, run_id, job_id, title, type, name, kind, part, rows, bytes_raw, bytes_packed, sha256,
    object, created_at, state, removed_at, downloads, downloaded_at"""


class Reading:
    """Reads of one tenant's log; what is another tenant's is not there (U3)."""

    def __init__(self, pool: Pool, clock: Clock | None = None) -> None:
        self._pool = pool
        self._clock = clock or SystemClock()

    async def identity_of(self, token: Token) -> Identity | None:
        """Return who bears the token, or None when it is not good (any more)."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["identity_of"], token.identity_id)
        if row is None or not is_genuine(token, row["secret_hash"]):
            return None
        if not is_live(expires_at=row["expires_at"], revoked=row["revoked"], now=self._clock.now()):
            return None
        return Identity(row["identity_id"], row["tenant_id"], row["user_id"], row["name"], frozenset(row["roles"]))

    async def shut_out(self, identity_ids: Collection[UUID]) -> set[UUID]:
        """Return those of these identities that have been revoked or are over."""
        async with connection(self._pool) as database:
            rows = await database.fetch(SQL["shut_out"], list(identity_ids), self._clock.now())
        return {row["identity_id"] for row in rows}

    async def runs(self, tenant_id: UUID, which: RunFilter, page: Page) -> list[Record]:
        """Return one more row than asked for, where there is one; `sort_value` is for the cursor."""
        return await self._page(*run_page(SQL["list_runs"].replace("{columns}", _RUN), tenant_id, which, page))

    async def run(self, tenant_id: UUID, run_id: UUID) -> Record | None:
        """Return one run."""
        async with connection(self._pool) as database:
            return await database.fetchrow(SQL["find_run"].replace("{columns}", _RUN), tenant_id, run_id)

    async def parts(self, run_id: UUID) -> list[Record]:
        """Return a run's finished parts."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["list_parts"], run_id)

    async def entries(self, run_id: UUID) -> list[Record]:
        """Return a run's timeline."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["list_entries"], run_id)

    async def changed(self, after: int, limit: int, tenant_id: UUID | None = None) -> list[Record]:
        """Return runs that changed after a version, in the order of their changes."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["changed_runs"].replace("{columns}", _RUN), after, tenant_id, limit)

    async def last_version(self) -> int:
        """Return the newest version."""
        async with connection(self._pool) as database:
            return int(await database.fetchval(SQL["last_version"]))

    async def artifacts(self, tenant_id: UUID, which: ArtifactFilter, page: Page) -> list[Record]:
        """Return one more row than asked for, where there is one; `sort_value` is for the cursor."""
        statement = SQL["list_artifacts"].replace("{columns}", _ARTIFACT)
        return await self._page(*artifact_page(statement, tenant_id, which, page))

    async def _page(self, sql: str, values: Sequence[object]) -> list[Record]:
        try:
            async with connection(self._pool) as database:
                return await database.fetch(sql, *values)
        except asyncpg.DataError as error:
            raise PlaceNotUnderstood(str(error)) from error

    async def artifacts_of(self, tenant_id: UUID, artifact_ids: Sequence[UUID]) -> list[Record]:
        """Return those of a tenant's files that have these ids."""
        sql = SQL["artifacts_of"].replace("{columns}", _ARTIFACT)
        async with connection(self._pool) as database:
            return await database.fetch(sql, tenant_id, list(artifact_ids))

    async def sets(self, run_ids: Sequence[UUID]) -> list[Record]:
        """Return how many files there are of each kind of these runs, how many of them are still there, and sizes."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["file_sets"], list(run_ids))

    async def counts(self, tenant_id: UUID, which: RunFilter) -> list[Record]:
        """Return how many of the latest runs there are of each state, type and source together."""
        sql, values = run_counts(SQL["count_runs"], tenant_id, which)
        async with connection(self._pool) as database:
            return await database.fetch(sql, *values)

    async def artifact_counts(self, tenant_id: UUID, which: ArtifactFilter) -> list[Record]:
        """Return how many of the latest files there are of each state and type together."""
        sql, values = artifact_counts(SQL["count_artifacts"], tenant_id, which)
        async with connection(self._pool) as database:
            return await database.fetch(sql, *values)

    async def job_deleted(self, job_id: UUID) -> bool:
        """Return whether a job is known to be gone."""
        async with connection(self._pool) as database:
            return bool(await database.fetchval(SQL["job_deleted"], job_id))

    async def scores(self, tenant_id: UUID, job_id: UUID) -> list[Record]:
        """Return how good the estimates of a job's latest runs were."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["list_scores"], tenant_id, job_id)

    async def course(self, run_id: UUID) -> Record | None:
        """Return how a run went on and what was shown of its end: from its score, or while it runs from its memory."""
        async with connection(self._pool) as database:
            return await database.fetchrow(SQL["course_of"], run_id)

    async def count_download(self, artifact_id: UUID) -> None:
        """Note that a file is being downloaded."""
        async with connection(self._pool) as database:
            await database.execute(SQL["count_download"], artifact_id, self._clock.now())
