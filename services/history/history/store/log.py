"""The run log as the recorder writes it: one transaction per batch, and a few statements whatever its size."""

import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from history.recording.projections import BatchChanges, LogEntry, LoggedArtifact, LoggedPart, LoggedRun
from history.store import SQL
from history.store.columns import from_row, to_row
from shared.events import (
    FilesExpired,
    IdentityDeleted,
    IdentitySaved,
    IdentityTombstone,
    JobDeleted,
    JobSaved,
    JobTombstone,
)
from shared.postgres import Connection, Pool, transaction

IdentityChange = IdentitySaved | IdentityDeleted | IdentityTombstone
JobChange = JobSaved | JobDeleted | JobTombstone


class RunLog:
    """Runs, timelines, parts and artifacts; every write can be repeated. Every method raises PostgresUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Connection]:
        """Open a transaction during which no other process writes the log."""
        async with transaction(self._pool) as database:
            await database.execute(SQL["lock_log"])
            yield database

    async def load(self, database: Connection, run_ids: Collection[UUID]) -> dict[UUID, LoggedRun]:
        """Return those of the runs that the log has."""
        rows = await database.fetch(SQL["load_runs"], list(run_ids))
        return {row["run_id"]: from_row(row) for row in rows}

    async def save(self, database: Connection, changes: BatchChanges) -> None:
        """Write the changes, and notify the processes that display runs when the transaction commits."""
        if not changes.runs:
            return
        await database.execute(SQL["save_runs"], [to_row(run) for run in changes.runs.values()])
        await _execute(database, "insert_entries", map(_entry, changes.entries))
        await _execute(database, "save_parts", map(_part, changes.parts.values()))
        await _execute(database, "insert_artifacts", map(_artifact, changes.artifacts))
        await _execute(database, "remove_artifacts", (row for each in changes.removals for row in _removals(each)))
        if run_ids := _find_delivered(changes):
            await database.execute(SQL["keep_delivered"], run_ids)
        await database.execute(SQL["notify"])

    async def save_identities(self, changes: Sequence[IdentityChange]) -> None:
        """Write API keys and sessions; an older version never replaces a newer one, nor a deletion."""
        versions = [each for each in changes if not isinstance(each, IdentityTombstone)]
        latest = {each.identity_id: each for each in sorted(versions, key=lambda each: each.version)}
        ended = [each.identity_id for each in changes if isinstance(each, IdentityTombstone)]
        async with transaction(self._pool) as database:
            await _execute(database, "save_identities", map(_identity, latest.values()))
            await database.execute(SQL["forget_identities"], ended)

    async def save_jobs(self, changes: Sequence[JobChange]) -> None:
        """Write the current versions of jobs, and mark deleted ones, for good."""
        versions = [each for each in changes if not isinstance(each, JobTombstone)]
        latest = {each.job_id: each for each in sorted(versions, key=lambda each: each.version)}
        deleted = [each.job_id for each in changes if not isinstance(each, JobSaved)]
        async with transaction(self._pool) as database:
            await _execute(database, "save_jobs", map(_job, latest.values()))
            await database.execute(SQL["delete_jobs"], deleted)


def _find_delivered(changes: BatchChanges) -> list[UUID]:
    """Return the runs that may have been delivered before their own events were read, of another topic."""
    of_files = {each.run_id for each in changes.artifacts}
    return [run.run_id for run in changes.runs.values() if run.run_id in of_files or _delivers(run)]


def _delivers(run: LoggedRun) -> bool:
    return run.settings is not None and run.settings.delivery is not None


async def _execute(database: Connection, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Execute a statement whose parameters are arrays with one element for each row; none for no rows."""
    if found := list(rows):
        await database.execute(*SQL.bind(name, **{column: [row[column] for row in found] for column in found[0]}))


def _entry(entry: LogEntry) -> dict[str, Any]:
    names = ("run_id", "token", "seq", "kind", "at")
    return {**{name: getattr(entry, name) for name in names}, "details": json.dumps(entry.details)}


def _part(part: LoggedPart) -> dict[str, Any]:
    names = ("run_id", "kind", "part", "token", "seq", "at", "rows", "bytes_raw", "bytes_packed", "sha256")
    return {name: getattr(part, name) for name in names}


def _artifact(artifact: LoggedArtifact) -> dict[str, Any]:
    names = ("name", "kind", "part", "rows", "bytes_raw", "bytes_packed", "sha256", "object")
    ids = {"artifact_id": artifact.artifact_id, "run_id": artifact.run_id, "created_at": artifact.created_at}
    return {**ids, **{name: getattr(artifact.file, name) for name in names}}


def _removals(event: FilesExpired) -> Iterable[dict[str, Any]]:
    common = {"run_id": event.run_id, "reason": event.reason, "at": event.at, "removed_by": event.removed_by}
    return [{**common, "object": name} for name in event.objects]


def _identity(saved: IdentitySaved | IdentityDeleted) -> dict[str, Any]:
    if isinstance(saved, IdentityDeleted):
        # Nothing authenticates with it, and no older version of it comes back.
        ids = {"identity_id": saved.identity_id, "tenant_id": saved.tenant_id, "user_id": saved.identity_id}
        unused = {"name": "", "secret_hash": "", "expires_at": None, "roles": ""}
        return {**ids, **unused, "revoked": True, "version": saved.version}
    names = ("identity_id", "tenant_id", "user_id", "name", "secret_hash", "expires_at", "revoked", "version")
    # PostgreSQL has no arrays of arrays of different lengths.
    return {**{name: getattr(saved, name) for name in names}, "roles": ",".join(saved.roles)}


def _job(saved: JobSaved | JobDeleted) -> dict[str, Any]:
    settings = {"title": "", "source": "", "type": ""}
    if isinstance(saved, JobSaved):
        settings = {"title": saved.settings.title, "source": saved.settings.source, "type": saved.settings.type}
    return {"job_id": saved.job_id, "tenant_id": saved.tenant_id, **settings, "version": saved.version}
