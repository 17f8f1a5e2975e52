"""The object store as history uses it: reading files, and removing those whose time is over."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import obstore
from obstore import exceptions
from obstore.store import LocalStore, from_url

from history.errors import ObjectMissing, StoreUnavailable
from shared.errors import InvalidSettings

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CHUNK = 1024 * 1024


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


def open_objects(url: str) -> Objects:
    """Open the store that a URL names: `file:///folder`, `s3://bucket/prefix`, `gs://...`, `az://...`.

    Credentials and endpoints come from the clouds' usual environment variables. Raises InvalidSettings.
    """
    parts = urlsplit(url)
    try:
        if parts.scheme == "file":
            return Objects(LocalStore(Path(unquote(parts.path)), mkdir=True))
        return Objects(from_url(url))
    except (exceptions.BaseError, ValueError):
        # The URL may hold a secret, so it is not repeated.
        raise InvalidSettings(f"the store's URL ({parts.scheme or 'no scheme'}) is not understood") from None


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ObjectMissing("the store does not have this object") from None
    except (TimeoutError, exceptions.BaseError, OSError) as error:
        raise StoreUnavailable(f"the store failed: {type(error).__name__}") from error
