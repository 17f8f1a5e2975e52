"""Several files as one zip, packed while it is sent: nothing is kept but a chunk (rule A1)."""

import zipfile
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from typing import Protocol
from uuid import UUID

from history.store.objects import ArtifactObjects

_LARGE = 2**31 - 2**20


class ArchivedFile(Protocol):
    """A file of an archive."""

    @property
    def artifact_id(self) -> UUID:
        """Its id, which distinguishes files of the same name."""

    @property
    def name(self) -> str:
        """Its name in the archive."""

    @property
    def path(self) -> str:
        """Its path in the object store."""

    @property
    def size(self) -> int:
        """Its size in bytes."""

    @property
    def created_at(self) -> datetime:
        """When it was created."""


class _Pipe:
    """A file that zipfile writes to, whose content is taken out after each write."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._pending.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: there is no file below this one."""

    def drain(self) -> bytes:
        data = b"".join(self._pending)
        self._pending.clear()
        return data


async def pack_archive(objects: ArtifactObjects, files: Iterable[ArchivedFile]) -> AsyncIterator[bytes]:
    """Yield a zip of files; they are encrypted, so that compression would gain nothing.

    Members are deflated at level 0 instead of stored: Java's stream reader refuses stored members whose checksum
    follows them. Raises ObjectMissing or StoreUnavailable.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as packed:  # type: ignore[call-overload]
        for name, file in _with_unique_names(files):
            member = zipfile.ZipInfo(name, file.created_at.timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            with packed.open(member, "w", force_zip64=file.size > _LARGE) as target:
                async for chunk in objects.read(file.path, 0, file.size):
                    target.write(chunk)
                    yield pipe.drain()
            yield pipe.drain()
    yield pipe.drain()


def _with_unique_names(files: Iterable[ArchivedFile]) -> Iterator[tuple[str, ArchivedFile]]:
    names: set[str] = set()
    for file in files:
        yield file.name if file.name not in names else f"{file.artifact_id}/{file.name}", file
        names.add(file.name)
