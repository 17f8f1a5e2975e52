"""The object store behind a small interface: S3, Google, Azure or a local folder (rule P6)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import obstore
from obstore.store import LocalStore

from exporter.errors import FileTooLarge, ObjectStoreRefused, ObjectStoreUnavailable
from shared.errors import InvalidSettings
from shared.objectstore import ERRORS, delete_objects, open_backend, to_store_fault

if TYPE_CHECKING:
    from obstore import AsyncWritableFile
    from obstore.store import ObjectStore as Backend

_GATHER = 1024 * 1024
_MULTIPART_PIECE = 8 * 1024 * 1024
_MAX_UPLOADS = 2

MAX_OBJECT_SIZE = 10_000 * _MULTIPART_PIECE
"""Bytes of the largest object outside a local folder: clouds accept 10,000 pieces; larger ones would need memory."""

_REQUEST_TIMEOUT = "5 min"
"""How long one request may take; it transfers eight MiB at most."""


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """A finished object: size in bytes and SHA-256 in hex."""

    size: int
    sha256: str


class ObjectStore:
    """Objects by key. Methods raise ObjectStoreUnavailable (transient) or ObjectStoreRefused."""

    def __init__(self, backend: "Backend") -> None:
        self._backend = backend

    def open_writer(self, key: str) -> "ObjectWriter":
        """Begin an object that becomes visible only when its writer finishes."""
        return ObjectWriter(self._backend, key)

    async def put(self, key: str, data: bytes) -> WrittenObject:
        """Store a small object at once, replacing the object with that key."""
        with _translate_errors(key):
            await obstore.put_async(self._backend, key, data, use_multipart=False)
        return WrittenObject(len(data), hashlib.sha256(data).hexdigest())

    async def delete(self, keys: Iterable[str]) -> dict[str, str]:
        """Delete objects, each by itself; return why the store did not delete the others, by key. Raises nothing."""
        return {key: fault.message for key, fault in (await delete_objects(self._backend, keys)).items()}

    async def list_keys(self, prefix: str) -> AsyncIterator[str]:
        """Yield the keys of the objects in the folder `prefix` and below."""
        with _translate_errors(prefix):
            async for page in obstore.list(self._backend, prefix, chunk_size=1000):
                for meta in page:
                    yield meta["path"]

    async def list_unfinished(self, prefix: str) -> Sequence[str]:
        """Return the keys of unfinished objects below `prefix` in a local folder, including those of dead writers.

        Clouds do not list them; a lifecycle rule of the bucket removes them.
        """
        if not isinstance(self._backend, LocalStore) or self._backend.prefix is None:
            return ()
        root = Path(self._backend.prefix)
        return await asyncio.to_thread(
            lambda: tuple(path.relative_to(root).as_posix() for path in (root / prefix).rglob("*#*") if path.is_file())
        )

    async def delete_unfinished(self, keys: Iterable[str]) -> dict[str, str]:
        """Delete unfinished objects of a local folder whose writers no longer exist; return faults as `delete` does."""
        faults = {}
        if isinstance(self._backend, LocalStore) and self._backend.prefix is not None:
            for key in keys:
                try:
                    await asyncio.to_thread((Path(self._backend.prefix) / key).unlink, missing_ok=True)
                except OSError as error:
                    faults[key] = to_store_fault(error).message
        return faults


class ObjectWriter:
    """Writes one object in bounded memory. Until `finish` nothing is visible; `abort` discards what was written.

    S3-like stores keep an unfinished multipart upload invisibly; a lifecycle rule of the bucket removes it. Methods
    raise ObjectStoreUnavailable (transient) or ObjectStoreRefused.
    """

    def __init__(self, backend: "Backend", key: str) -> None:
        self._backend = backend
        self._key = key
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._size = 0
        self._digest = hashlib.sha256()
        self._file: AsyncWritableFile | None = None

    async def write(self, data: bytes) -> None:
        """Add bytes; waits for the store once a MiB has gathered. Raises FileTooLarge beyond MAX_OBJECT_SIZE."""
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size >= _GATHER:
            await self._flush()

    async def finish(self) -> WrittenObject:
        """Make the object visible and return its size and checksum. Raises FileTooLarge beyond MAX_OBJECT_SIZE."""
        await self._flush()
        with _translate_errors(self._key):
            await self._open().close()
        self._file = None
        return WrittenObject(self._size, self._digest.hexdigest())

    async def abort(self) -> None:
        """Discard what was written. Does nothing after `finish` or when repeated."""
        file, self._file = self._file, None
        self._pending.clear()
        if file is not None:
            # The library abandons an unfinished file only when its block is left by an exception. If the store is
            # unavailable and cannot clean up, nothing is visible all the same.
            with suppress(*ERRORS, _Aborted):
                await file.__aexit__(_Aborted, _Aborted(), None)

    async def _flush(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        self._size += len(data)
        if self._size > MAX_OBJECT_SIZE and not isinstance(self._backend, LocalStore):
            raise FileTooLarge("A file cannot be larger than 78 GiB, the store's limit. Set a split size.")
        self._digest.update(data)
        with _translate_errors(self._key):
            await self._open().write(data)

    def _open(self) -> "AsyncWritableFile":
        if self._file is None:
            # Only clouds limit the number of pieces.
            piece = _GATHER if isinstance(self._backend, LocalStore) else _MULTIPART_PIECE
            self._file = obstore.open_writer_async(
                self._backend, self._key, buffer_size=piece, max_concurrency=_MAX_UPLOADS
            )
        return self._file


class _Aborted(Exception):
    """The writer was aborted."""


def open_store(
    url: str, options: Mapping[str, str] = MappingProxyType({}), *, patience: timedelta = timedelta(minutes=1)
) -> ObjectStore:
    """Open the store of a URL: `file:///folder`, `s3://bucket/prefix`, `gs://...`, `az://...`; `memory:///` in tests.

    `options` are credentials, region, endpoint and the like, as in `shared.objectstore.open_backend`; they come from
    the setting STORE_OPTIONS. A failing request is retried for `patience`. Raises ObjectStoreRefused for an invalid URL
    or option.
    """
    try:
        return ObjectStore(open_backend(url, options, patience=patience, timeout=_REQUEST_TIMEOUT))
    except InvalidSettings as error:
        raise ObjectStoreRefused(f"The configuration is wrong: {error}.") from None


@contextmanager
def _translate_errors(key: str) -> Iterator[None]:
    """Raise the library's errors as ours, without their messages, which quote requests."""
    try:
        yield
    except ERRORS as error:
        fault = to_store_fault(error)
        if fault.kind == "refused":
            raise ObjectStoreRefused(f"The store refuses {key}: {fault.message}.") from error
        raise ObjectStoreUnavailable(f"The store failed at {key}: {fault.message}.") from error
