"""The object store as history uses it: reading files, and removing those whose time is over."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

import obstore

from history.errors import ObjectMissing, StoreUnavailable
from shared.objectstore import ERRORS, Options, open_backend, to_store_fault

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CHUNK = 1024 * 1024
_NONE: Options = MappingProxyType({})
# Somebody waits for the answer; and the retention comes back to what it could not remove.
_PATIENCE = timedelta(seconds=10)


class Objects:
    """Objects by their path under the store's URL. Raises ObjectMissing, or StoreUnavailable where a retry may help."""

    def __init__(self, backend: "ObjectStore") -> None:
        self._backend = backend

    async def size(self, path: str) -> int:
        """Return an object's size in bytes."""
        with _clear_errors():
            return (await obstore.head_async(self._backend, path))["size"]

    async def read(self, path: str, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield an object's bytes from `start` up to, not including, `end`."""
        if end <= start:
            return
        with _clear_errors():
            found = await obstore.get_async(self._backend, path, options={"range": (start, end)})
            async for chunk in found.stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

    async def delete(self, path: str) -> None:
        """Remove an object; to remove what is not there is no error."""
        try:
            with _clear_errors():
                await obstore.delete_async(self._backend, path)
        except ObjectMissing:
            return


def open_objects(url: str, options: Options = _NONE) -> Objects:
    """Open the store of a URL with its options, as `shared.objectstore.open_backend` says. Raises InvalidSettings."""
    return Objects(open_backend(url, options, patience=_PATIENCE))


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn the library's errors into ours; its own words go no further, for they quote requests."""
    try:
        yield
    except ERRORS as error:
        fault = to_store_fault(error)
        if fault.kind == "missing":
            raise ObjectMissing("the store does not have this object") from None
        raise StoreUnavailable(f"the store failed: {fault.message}") from error
