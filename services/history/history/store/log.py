"""The run log as the recorder writes it: one transaction per batch, and a few statements whatever its size."""

import json
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from history.recording.projections import BatchChanges, LogEntry, LoggedArtifact, LoggedPart, LoggedRun
from history.store import SQL
from history.store.columns import from_row, to_row
from shared.events import IdentitySaved, JobDeleted, JobSaved
from shared.postgres import Connection, Pool, transaction


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
        await database.execute(SQL["save_runs"], *_columns(to_row(run) for run in changes.runs.values()))
        if changes.entries:
            await database.execute(SQL["insert_entries"], *_columns(_entry(entry) for entry in changes.entries))
        if changes.parts:
            await database.execute(SQL["save_parts"], *_columns(_part(part) for part in changes.parts.values()))
        if changes.artifacts:
            await database.execute(SQL["insert_artifacts"], *_columns(_artifact(each) for each in changes.artifacts))
        if changes.removals:
            removed = [
                (each.run_id, name, each.reason, each.at, each.removed_by)
                for each in changes.removals
                for name in each.objects
            ]
            await database.execute(SQL["remove_artifacts"], *(_columns(removed) or ([],) * 5))
        await database.execute(SQL["notify"])

    async def save_identities(self, saved: Sequence[IdentitySaved]) -> None:
        """Write API keys and sessions; an older version never replaces a newer one."""
        latest = {each.identity_id: each for each in sorted(saved, key=lambda each: each.version)}
        async with transaction(self._pool) as database:
            await database.execute(SQL["save_identities"], *_columns(_identity(each) for each in latest.values()))

    async def save_jobs(self, saved: Sequence[JobSaved], deleted: Sequence[JobDeleted]) -> None:
        """Write the current versions of jobs, and mark deleted ones."""
        latest = {each.job_id: each for each in sorted(saved, key=lambda each: each.version)}
        async with transaction(self._pool) as database:
            if latest:
                await database.execute(SQL["save_jobs"], *_columns(_job(each) for each in latest.values()))
            await database.execute(SQL["delete_jobs"], [each.job_id for each in deleted])


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _entry(entry: LogEntry) -> tuple[object, ...]:
    return entry.run_id, entry.token, entry.seq, entry.kind, entry.at, json.dumps(entry.details)


def _part(part: LoggedPart) -> tuple[object, ...]:
    version = (part.run_id, part.kind, part.part, part.token, part.seq, part.at)
    return *version, part.rows, part.bytes_raw, part.bytes_packed, part.sha256


def _artifact(artifact: LoggedArtifact) -> tuple[object, ...]:
    file = artifact.file
    sizes = (file.rows, file.bytes_raw, file.bytes_packed, file.sha256, file.object)
    return artifact.artifact_id, artifact.run_id, file.name, file.kind, file.part, *sizes, artifact.created_at


def _identity(saved: IdentitySaved) -> tuple[object, ...]:
    identity = (saved.identity_id, saved.tenant_id, saved.user_id, saved.name, ",".join(saved.roles))
    return *identity, saved.secret_hash, saved.expires_at, saved.revoked, saved.version


def _job(saved: JobSaved) -> tuple[object, ...]:
    settings = saved.settings
    return saved.job_id, saved.tenant_id, settings.title, settings.source, settings.type, saved.version
