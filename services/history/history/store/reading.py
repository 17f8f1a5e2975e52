"""The run log as it is read over HTTP: a query and rows, by tenant, nothing decided here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from history.errors import PlaceNotUnderstood
from history.store import SQL
from shared.auth import Identity, Token, live, matches
from shared.clock import Clock, SystemClock
from shared.postgres import Pool, Record, connection

_RUN = """run_id, job_id, tenant_id, version, state, removed_at, created_at, slot, cause, title, source, type, settings,
    fate_reason, queued_at, started_at, ended_at, attempt, exporter, window_start, window_end, recipients, reason,
    message, retry_at, ended_by, rows, bytes_raw, bytes_packed, files, manifest, data_complete_through, progress_at,
    phase, units_done, units_total, total_exact, bytes_done, slices, estimated_at, progress, eta_seconds, eta_low,
    eta_high"""
_ARTIFACT = """artifact_id, run_id, job_id, title, type, name, kind, part, rows, bytes_raw, bytes_packed, sha256,
    object, created_at, state, removed_at, downloads, downloaded_at"""

# What lists may be sorted by: the SQL expression and the type of its values in a cursor. NULL sorts as least.
RUN_SORTS = {
    "created": ("created_at", "timestamptz"),
    "started": ("coalesce(started_at, '-infinity')", "timestamptz"),
    "ended": ("coalesce(ended_at, '-infinity')", "timestamptz"),
    "duration": ("coalesce(extract(epoch FROM ended_at - started_at), -1)::float8", "float8"),
    "title": ("coalesce(title, '')", "text"),
    "state": ("state", "text"),
    "type": ("coalesce(type, '')", "text"),
    "source": ("coalesce(source, '')", "text"),
    "rows": ("coalesce(rows, -1)", "bigint"),
    "files": ("files::bigint", "bigint"),
}
ARTIFACT_SORTS = {
    "created": ("created_at", "timestamptz"),
    "name": ("name", "text"),
    "title": ("title", "text"),
    "type": ("type", "text"),
    "size": ("bytes_packed", "bigint"),
    "state": ("state", "text"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which rows of a sorted list: `after` is the sort value (as text) and id of the last row seen."""

    sort: str
    descending: bool
    limit: int
    after: tuple[str, UUID] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs; None does not filter."""

    job_id: UUID | None = None
    states: Sequence[str] | None = None
    type: str | None = None
    source: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFilter:
    """Which files; None does not filter."""

    job_id: UUID | None = None
    run_id: UUID | None = None
    type: str | None = None
    state: str | None = None
    text: str | None = None


class Reading:
    """Reads of one tenant's log; what is another tenant's is not there (U3)."""

    def __init__(self, pool: Pool, clock: Clock | None = None) -> None:
        self._pool = pool
        self._clock = clock or SystemClock()

    async def identity_of(self, token: Token) -> Identity | None:
        """Return who bears the token, or None when it is not good (any more)."""
        async with connection(self._pool) as database:
            row = await database.fetchrow(SQL["identity_of"], token.identity_id)
        if row is None or not matches(token, row["secret_hash"]):
            return None
        if not live(expires_at=row["expires_at"], revoked=row["revoked"], now=self._clock.now()):
            return None
        return Identity(row["identity_id"], row["tenant_id"], row["user_id"], row["name"], frozenset(row["roles"]))

    async def runs(self, tenant_id: UUID, which: RunFilter, page: Page) -> list[Record]:
        """Return one more row than asked for, where there is one; `sort_value` is for the cursor."""
        sql = _sorted(SQL["list_runs"], _RUN, RUN_SORTS[page.sort], "run_id", page, values=10)
        states = list(which.states) if which.states is not None else None
        filters = (which.job_id, states, which.type, which.source, which.since, which.before, _like(which.text))
        return await self._page(sql, tenant_id, *filters, page.limit + 1, *(page.after or ()))

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
        sql = _sorted(SQL["list_artifacts"], _ARTIFACT, ARTIFACT_SORTS[page.sort], "artifact_id", page, values=8)
        filters = (which.job_id, which.run_id, which.type, which.state, _like(which.text))
        return await self._page(sql, tenant_id, *filters, page.limit + 1, *(page.after or ()))

    async def _page(self, sql: str, *values: object) -> list[Record]:
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

    async def counts(self, tenant_id: UUID, job_id: UUID | None) -> list[Record]:
        """Return how many runs there are of each state, of each type and from each source."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["count_runs"], tenant_id, job_id)

    async def scores(self, tenant_id: UUID, job_id: UUID) -> list[Record]:
        """Return how good the estimates of a job's latest runs were."""
        async with connection(self._pool) as database:
            return await database.fetch(SQL["list_scores"], tenant_id, job_id)

    async def shown(self, run_id: UUID) -> Record | None:
        """Return the estimates that were shown for an ended run."""
        async with connection(self._pool) as database:
            return await database.fetchrow(SQL["shown_estimates"], run_id)

    async def count_download(self, artifact_id: UUID) -> None:
        """Note that a file is being downloaded."""
        async with connection(self._pool) as database:
            await database.execute(SQL["count_download"], artifact_id, self._clock.now())


def _sorted(sql: str, columns: str, sort: tuple[str, str], tie: str, page: Page, *, values: int) -> str:
    """Fill in what a parameter cannot be; every piece comes from the tables above, none from a request."""
    key, kind = sort
    after = f"AND ({key}, {tie}) {'<' if page.descending else '>'} (${values}::text::{kind}, ${values + 1}::uuid)"
    return (
        sql.replace("{columns}", f"{columns}, ({key})::text AS sort_value")
        .replace("{after}", after if page.after else "")
        .replace("{key}", key)
        .replace("{direction}", "DESC" if page.descending else "ASC")
    )


def _like(text: str | None) -> str | None:
    if text is None:
        return None
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
