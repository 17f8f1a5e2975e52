"""The object store behind one small interface: S3, Google, Azure or a local folder (rule P6)."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import obstore
from obstore.store import LocalStore

from exporter.errors import FileTooLarge, ObjectNotFound, StoreRefused, StoreUnavailable
from shared.errors import InvalidSettings
from shared.objectstore import ERRORS, open_backend, to_store_fault

if TYPE_CHECKING:
    from obstore import AsyncWritableFile
    from obstore.store import ObjectStore as Backend

_GATHER = 1024 * 1024
_MULTIPART = 8 * 1024 * 1024
_UPLOADS_AT_ONCE = 2

LARGEST = 10_000 * _MULTIPART
"""Bytes of the largest object outside a local folder: clouds take 10,000 pieces, and larger ones would need memory."""

_PIECE_LIMIT = "5 min"
"""How long one request may take: it moves eight MiB at most."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as a listing shows it."""

    key: str
    size: int
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """What a writer has put into the store: size in bytes and SHA-256 in hex."""

    size: int
    sha256: str


class ObjectStore:
    """Objects by key. Whatever fails raises StoreUnavailable (try again), StoreRefused or ObjectNotFound."""

    def __init__(self, backend: "Backend") -> None:
        self._backend = backend

    def open_writer(self, key: str) -> "ObjectWriter":
        """Begin an object that becomes visible only when its writer is finished."""
        return ObjectWriter(self._backend, key)

    async def put(self, key: str, data: bytes) -> Written:
        """Store a small object at once, in place of what has that key."""
        with _clear_errors(key, writing=True):
            await obstore.put_async(self._backend, key, data, use_multipart=False)
        return Written(len(data), hashlib.sha256(data).hexdigest())

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """Yield the object's bytes from `start` up to, not including, `end`."""
        if end is not None and end <= start:
            return
        with _clear_errors(key):
            options: obstore.GetOptions = {"range": (start, end)} if end is not None else {"range": {"offset": start}}
            found = await obstore.get_async(self._backend, key, options=options if start or end is not None else None)
            async for chunk in found.stream(min_chunk_size=_GATHER):
                yield bytes(chunk)

    async def size(self, key: str) -> int:
        """Return the object's size in bytes."""
        with _clear_errors(key):
            return (await obstore.head_async(self._backend, key))["size"]

    async def move(self, key: str, to: str) -> None:
        """Give the object another key, in place of what has that one."""
        with _clear_errors(key):
            await obstore.rename_async(self._backend, key, to)

    async def delete(self, key: str) -> None:
        """Remove the object; to remove what is not there is no error."""
        try:
            with _clear_errors(key):
                await obstore.delete_async(self._backend, key)
        except ObjectNotFound:
            return

    async def list(self, prefix: str) -> AsyncIterator[StoredObject]:
        """Yield the objects in the folder `prefix` and below."""
        with _clear_errors(prefix):
            async for page in obstore.list(self._backend, prefix, chunk_size=1000):
                for meta in page:
                    yield StoredObject(meta["path"], meta["size"], meta["last_modified"])

    async def unfinished(self, prefix: str) -> Sequence[str]:
        """Return the keys of the unfinished objects, of dead writers too, that a local folder holds below `prefix`.

        Clouds keep such things out of sight, and a rule of the bucket removes them.
        """
        if not isinstance(self._backend, LocalStore) or self._backend.prefix is None:
            return ()
        root = Path(self._backend.prefix)
        return await asyncio.to_thread(
            lambda: tuple(path.relative_to(root).as_posix() for path in (root / prefix).rglob("*#*") if path.is_file())
        )

    async def drop_unfinished(self, key: str) -> None:
        """Remove an unfinished object of a local folder, whose writer is gone."""
        if isinstance(self._backend, LocalStore) and self._backend.prefix is not None:
            with _clear_errors(key):
                await asyncio.to_thread((Path(self._backend.prefix) / key).unlink, missing_ok=True)


class ObjectWriter:
    """Writes one object in bounded memory. Until `finish` nothing is visible; `abort` drops what was written.

    What S3-like stores keep of an unfinished multipart upload is invisible; a lifecycle rule of the bucket clears it.
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
        """Take more bytes; awaits the store once a MiB has gathered."""
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size >= _GATHER:
            await self._flush()

    async def finish(self) -> Written:
        """Make the object visible and say what was written."""
        await self._flush()
        with _clear_errors(self._key, writing=True):
            await self._open().close()
        self._file = None
        return Written(self._size, self._digest.hexdigest())

    async def abort(self) -> None:
        """Drop what was written. Safe after `finish`, and twice."""
        file, self._file = self._file, None
        self._pending.clear()
        if file is not None:
            # Leaving its block by an exception is the one way in which the library lets go of a file unfinished. If the
            # store is away, so that it cannot clear up, nothing is visible all the same.
            with suppress(*ERRORS, _Aborted):
                await file.__aexit__(_Aborted, _Aborted(), None)

    async def _flush(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        self._size += len(data)
        if self._size > LARGEST and not isinstance(self._backend, LocalStore):
            raise FileTooLarge("One file would pass 78 GiB, the most the store takes in one piece. Set a split size.")
        self._digest.update(data)
        with _clear_errors(self._key, writing=True):
            await self._open().write(data)

    def _open(self) -> "AsyncWritableFile":
        if self._file is None:
            # Only clouds count pieces; a folder takes them as they come.
            piece = _GATHER if isinstance(self._backend, LocalStore) else _MULTIPART
            self._file = obstore.open_writer_async(
                self._backend, self._key, buffer_size=piece, max_concurrency=_UPLOADS_AT_ONCE
            )
        return self._file


class _Aborted(Exception):
    """The writer was aborted."""


def open_store(
    url: str, options: Mapping[str, str] = MappingProxyType({}), *, patience: timedelta = timedelta(minutes=1)
) -> ObjectStore:
    """Open the store that a URL names: `file:///folder`, `s3://bucket/prefix`, `gs://...`, `az://...`; `memory:///` is
    for tests.

    `options` are credentials, region, endpoint and the like, as `shared.objectstore.open_backend` says: they come from
    the setting STORE_OPTIONS, one JSON object, or a file with it. A failing request is tried again for `patience`.
    Raises StoreRefused for what makes no sense.
    """
    try:
        return ObjectStore(open_backend(url, options, patience=patience, timeout=_PIECE_LIMIT))
    except InvalidSettings as error:
        raise StoreRefused(f"The configuration is wrong: {error}.") from None


@contextmanager
def _clear_errors(key: str, *, writing: bool = False) -> Iterator[None]:
    """Turn the library's errors into ours; its own words go no further, for they quote requests."""
    try:
        yield
    except ERRORS as error:
        fault = to_store_fault(error)
        # Whoever writes does not look for an object: what is missing is something of the store's own.
        if fault.kind == "missing" and not writing:
            raise ObjectNotFound(f"The store has no object {key}.") from None
        if fault.kind == "refused":
            raise StoreRefused(f"The store refuses {key}: {fault.message}.") from error
        raise StoreUnavailable(f"The store failed at {key}: {fault.message}.") from error
