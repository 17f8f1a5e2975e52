"""Operations on the artifacts of one tenant (rule A1)."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from history.errors import ArtifactNotFound
from history.service.retention import Removal, RetentionService
from history.store.artifacts import ArtifactStore
from history.store.unit_of_work import UnitOfWork
from history.views.artifacts import Artifact, ArtifactCounts, FileSet, to_artifact, to_file_set
from history.views.facets import count_facets
from shared.auth import Identity
from shared.clock import Clock, SystemClock
from shared.http.lists import Page, PageRequest
from shared.postgres import Record

_ALL = 1000


class ArtifactService:
    """Lists, counts and deletes artifacts. Every method raises PostgresUnavailable."""

    def __init__(self, store: ArtifactStore, retention: RetentionService, clock: Clock | None = None) -> None:
        self._store = store
        self._retention = retention
        self._clock = clock or SystemClock()

    async def list_page(self, identity: Identity, request: PageRequest) -> Page[Artifact]:
        """Return a page of artifacts."""
        page = await self._store.list_page(identity.tenant_id, request)
        return Page(await self.to_artifacts(identity, page.items), page.after)

    async def list_of_run(self, identity: Identity, run_id: UUID) -> list[Artifact]:
        """Return the artifacts of a run, at most 1,000."""
        request = PageRequest(sort="name", descending=False, filters={"run_id": run_id}, limit=_ALL)
        return (await self.list_page(identity, request)).items

    async def count_sets(self, run_id: UUID) -> list[FileSet]:
        """Return the number of artifacts of a run by kind, however many there are."""
        return [to_file_set(row) for row in await self._store.count_files([run_id])]

    async def count(self, identity: Identity, filters: Mapping[str, Any]) -> ArtifactCounts:
        """Return the number of artifacts by state and type, each under the other filters."""
        chosen = {name: [filters[name]] if name in filters else None for name in ("state", "type")}
        rows = await self._store.count(identity.tenant_id, {k: v for k, v in filters.items() if k not in chosen})
        return ArtifactCounts(**count_facets(rows, chosen))

    async def get(self, identity: Identity, artifact_id: UUID) -> Artifact:
        """Return an artifact. Raises ArtifactNotFound."""
        [row] = await self.find_all(identity, [artifact_id])
        return (await self.to_artifacts(identity, [row]))[0]

    async def find_all(self, identity: Identity, artifact_ids: Sequence[UUID]) -> list[Record]:
        """Return the rows of these artifacts. Raises ArtifactNotFound when one of them is unknown."""
        rows = await self._store.find(identity.tenant_id, artifact_ids)
        if len(rows) < len(set(artifact_ids)):
            raise ArtifactNotFound
        return rows

    async def delete(self, work: UnitOfWork, artifact_ids: Sequence[UUID]) -> Removal:
        """Delete artifacts; those that have been removed already are ignored.

        The caller commits, and then requires that no file was refused (`Removal.require_complete`). Raises
        ArtifactNotFound when one of them is unknown, in which case none is deleted, or StoreUnavailable.
        """
        await self.find_all(work.identity, artifact_ids)
        removal = await self._retention.delete(work, artifact_ids)
        work.audit("artifact.delete", removal.removed, before={"state": "available"}, after={"state": "deleted"})
        return removal

    async def to_artifacts(self, identity: Identity, rows: Sequence[Record]) -> list[Artifact]:
        """Return the artifacts of rows."""
        now, kept = self._clock.now(), await self._retention.find_period(identity.tenant_id)
        sets = {
            (each["run_id"], each["kind"]): to_file_set(each)
            for each in await self._store.count_files(list({row["run_id"] for row in rows}))
        }
        return [to_artifact(row, sets[row["run_id"], row["kind"]], now=now, kept=kept) for row in rows]
