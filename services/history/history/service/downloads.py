"""Downloads (rule A3): files of one tenant, opened, counted, audited and read."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from history.errors import ArtifactGone, FileDamaged, FileMissing, ObjectMissing
from history.service.archive import pack_archive
from history.service.artifacts import ArtifactService
from history.store.artifacts import ArtifactStore
from history.store.objects import ArtifactObjects
from history.store.unit_of_work import UnitOfWork
from shared.auth import Identity
from shared.observe import DOWNLOADS
from shared.postgres import Record

_CONCURRENT_CHECKS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """An available file: its name for people, its path in the object store, its size in bytes and its checksum."""

    artifact_id: UUID
    name: str
    path: str
    size: int
    sha256: str
    created_at: datetime


class DownloadService:
    """Opens and reads files. Every method that is awaited raises PostgresUnavailable or StoreUnavailable."""

    def __init__(self, artifacts: ArtifactService, store: ArtifactStore, objects: ArtifactObjects) -> None:
        self._artifacts = artifacts
        self._store = store
        self._objects = objects

    async def open(self, identity: Identity, artifact_id: UUID) -> StoredFile:
        """Return a file that can be read. Raises ArtifactNotFound, ArtifactGone, FileMissing or FileDamaged."""
        [file] = await self.open_all(identity, [artifact_id])
        return file

    async def get_name(self, identity: Identity, artifact_id: UUID) -> str:
        """Return a file's name, also of one that is gone. Raises ArtifactNotFound."""
        [row] = await self._artifacts.find_all(identity, [artifact_id])
        name: str = row["name"]
        return name

    async def open_all(self, identity: Identity, artifact_ids: Sequence[UUID]) -> list[StoredFile]:
        """Return several files that can be read.

        Raises ArtifactNotFound, ArtifactGone, and FileMissing or FileDamaged with the names of those at fault: once the
        first byte is sent, one file would end the download of all.
        """
        files = await self._find_all(identity, artifact_ids)
        places = asyncio.Semaphore(_CONCURRENT_CHECKS)

        async def find_size(file: StoredFile) -> int | None:
            async with places:
                return await self._find_size(file.path)

        sizes = await asyncio.gather(*map(find_size, files))
        if missing := [file.name for file, size in zip(files, sizes, strict=True) if size is None]:
            raise FileMissing(*missing)
        if damaged := [file.name for file, size in zip(files, sizes, strict=True) if size != file.size]:
            raise FileDamaged(*damaged)
        return files

    async def _find_all(self, identity: Identity, artifact_ids: Sequence[UUID]) -> list[StoredFile]:
        rows = await self._artifacts.find_all(identity, artifact_ids)
        for artifact in await self._artifacts.to_artifacts(identity, rows):
            if artifact.state != "available":
                raise ArtifactGone(artifact.name, artifact.state)
        return [_to_file(row) for row in rows]

    async def record(self, work: UnitOfWork, file: StoredFile, start: int) -> None:
        """Record a download from a byte on: audited always, counted when it begins with the first byte.

        It comes before the first byte is sent, so that the audit trail also has downloads that are cut off.
        """
        work.audit("artifact.download", [file.artifact_id], after={"first_byte": start})
        if start == 0:
            await self._store.count_download(work.connection, [file.artifact_id], work.at)
            DOWNLOADS.labels("file").inc()

    async def record_archive(self, work: UnitOfWork, files: Sequence[StoredFile]) -> None:
        """Record the download of several files as one archive."""
        artifact_ids = [file.artifact_id for file in files]
        work.audit("artifact.download-archive", artifact_ids, after={"files": len(files)})
        await self._store.count_download(work.connection, artifact_ids, work.at)
        DOWNLOADS.labels("archive").inc()

    def read(self, file: StoredFile, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield a file's bytes from `start` to `end`, which is not included. Raises FileMissing."""
        return self._objects.read(file.path, start, end)

    def pack(self, files: Sequence[StoredFile]) -> AsyncIterator[bytes]:
        """Yield a zip of several files."""
        return pack_archive(self._objects, files)

    async def read_whole(self, path: str) -> bytes:
        """Return a small object. Raises FileMissing."""
        size = await self._find_size(path)
        if size is None:
            raise FileMissing(path.rpartition("/")[2])
        return b"".join([chunk async for chunk in self._objects.read(path, 0, size)])

    async def _find_size(self, path: str) -> int | None:
        """Return an object's size in bytes; None for one that the store does not have."""
        try:
            return await self._objects.find_size(path)
        except ObjectMissing:
            return None


def _to_file(row: Record) -> StoredFile:
    return StoredFile(
        artifact_id=row["artifact_id"],
        name=row["name"],
        path=row["object"],
        size=row["bytes_packed"],
        sha256=row["sha256"],
        created_at=row["created_at"],
    )
