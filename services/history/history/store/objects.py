"""The object store as history uses it: reading files and deleting them."""

from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

import obstore

from history.errors import ObjectMissing, StoreUnavailable
from shared.objectstore import ERRORS, Options, delete_objects, open_backend, to_store_fault

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CHUNK = 1024 * 1024
_NONE: Options = MappingProxyType({})
# A caller is waiting for the response; and retention retries what it could not delete.
_PATIENCE = timedelta(seconds=10)


class ArtifactObjects:
    """Objects by their path below the store's URL.

    Methods that read raise ObjectMissing, or StoreUnavailable where a retry may help.
    """

    def __init__(self, backend: "ObjectStore") -> None:
        self._backend = backend

    async def find_size(self, path: str) -> int:
        """Return an object's size in bytes."""
        with _wrap_errors():
            return (await obstore.head_async(self._backend, path))["size"]

    async def read(self, path: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield an object's bytes from `start` to `end`, which is not included."""
        if end <= start:
            return
        with _wrap_errors():
            found = await obstore.get_async(self._backend, path, options={"range": (start, end)})
            async for chunk in found.stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

    async def delete_all(self, paths: Collection[str], *, outage_from: int = 1) -> dict[str, str]:
        """Delete objects, each by itself; return for those that are still there why, by path.

        Raises StoreUnavailable when none of at least `outage_from` objects could be deleted, and none was refused.
        """
        faults = await delete_objects(self._backend, paths)
        unavailable = sum(each.kind == "unavailable" for each in faults.values())
        if unavailable >= outage_from and unavailable == len(set(paths)):
            raise StoreUnavailable(f"the object store failed: {next(iter(faults.values())).message}")
        return {path: fault.message for path, fault in faults.items()}


def open_objects(url: str, options: Options = _NONE) -> ArtifactObjects:
    """Open the store of a URL with its options (see `shared.objectstore.open_backend`). Raises InvalidSettings."""
    return ArtifactObjects(open_backend(url, options, patience=_PATIENCE))


@contextmanager
def _wrap_errors() -> Iterator[None]:
    """Turn the library's errors into ours; its own messages are dropped, because they quote requests."""
    try:
        yield
    except ERRORS as error:
        fault = to_store_fault(error)
        if fault.kind == "missing":
            raise ObjectMissing("the object store does not have this object") from None
        raise StoreUnavailable(f"the object store failed: {fault.message}") from error
