"""The run log as the recorder writes it: one transaction a batch, a few statements whatever its size."""

import json
from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from history.recording.projections import Artifact, Entry, Part, Run
from history.store import SQL
from history.store.columns import row_of, run_of
from shared.events import FilesExpired, IdentitySaved, JobDeleted, JobSaved
from shared.postgres import Connection, Pool, transaction


@dataclass(slots=True)
class Changes:
    """What a batch of events adds up to."""

    runs: dict[UUID, Run] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    parts: dict[tuple[UUID, str, int], Part] = field(default_factory=dict)
    artifacts: list[Artifact] = field(default_factory=list)
    removals: list[FilesExpired] = field(default_factory=list)


class RunLog:
    """Runs, timelines, parts and artifacts; every write is safe to repeat."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Connection]:
        """Give a transaction in which nobody else writes the log."""
        async with transaction(self._pool) as database:
            await database.execute(SQL["lock_log"])
            yield database

    async def load(self, database: Connection, run_ids: Collection[UUID]) -> dict[UUID, Run]:
        """Return those of the runs that are known."""
        rows = await database.fetch(SQL["load_runs"], list(run_ids))
        return {row["run_id"]: run_of(row) for row in rows}

    async def save(self, database: Connection, changes: Changes) -> None:
        """Write what has changed, and wake those who show it when the transaction commits."""
        if not changes.runs:
            return
        await database.execute(SQL["save_runs"], *_columns(row_of(run) for run in changes.runs.values()))
        if changes.entries:
            await database.execute(SQL["insert_entries"], *_columns(_entry(entry) for entry in changes.entries))
        if changes.parts:
            await database.execute(SQL["save_parts"], *_columns(_part(part) for part in changes.parts.values()))
        if changes.artifacts:
            await database.execute(SQL["insert_artifacts"], *_columns(_artifact(each) for each in changes.artifacts))
        if changes.removals:
            gone = [
                (each.run_id, name, each.reason, each.at, each.removed_by)
                for each in changes.removals
                for name in each.objects
            ]
            await database.execute(SQL["remove_artifacts"], *(_columns(gone) or ([],) * 5))
        await database.execute(SQL["notify"])

    async def save_identities(self, saved: Sequence[IdentitySaved]) -> None:
        """Write who may ask."""
        latest = {each.identity_id: each for each in sorted(saved, key=lambda each: each.version)}
        async with transaction(self._pool) as database:
            await database.execute(SQL["save_identities"], *_columns(_identity(each) for each in latest.values()))

    async def save_jobs(self, saved: Sequence[JobSaved], deleted: Sequence[JobDeleted]) -> None:
        """Write jobs as they are today."""
        latest = {each.job_id: each for each in sorted(saved, key=lambda each: each.version)}
        async with transaction(self._pool) as database:
            if latest:
                await database.execute(SQL["save_jobs"], *_columns(_job(each) for each in latest.values()))
            await database.execute(SQL["delete_jobs"], [each.job_id for each in deleted])


def _columns(rows: Iterable[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def _entry(entry: Entry) -> tuple[object, ...]:
    return entry.run_id, entry.token, entry.seq, entry.kind, entry.at, json.dumps(entry.details)


def _part(part: Part) -> tuple[object, ...]:
    made = (part.run_id, part.kind, part.part, part.token, part.seq, part.at)
    return *made, part.rows, part.bytes_raw, part.bytes_packed, part.sha256


def _artifact(artifact: Artifact) -> tuple[object, ...]:
    file = artifact.file
    sizes = (file.rows, file.bytes_raw, file.bytes_packed, file.sha256, file.object)
    return artifact.artifact_id, artifact.run_id, file.name, file.kind, file.part, *sizes, artifact.created_at


def _identity(saved: IdentitySaved) -> tuple[object, ...]:
    who = (saved.identity_id, saved.tenant_id, saved.user_id, saved.name, ",".join(saved.roles))
    return *who, saved.secret_hash, saved.expires_at, saved.revoked, saved.version


def _job(saved: JobSaved) -> tuple[object, ...]:
    settings = saved.settings
    return saved.job_id, saved.tenant_id, settings.title, settings.source, settings.type, saved.version
