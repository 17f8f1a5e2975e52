"""Reading finished files from Sluice's own object store."""

from collections.abc import AsyncIterator, Mapping

import obstore

from exporter.delivery.limiter import BandwidthLimiter
from exporter.errors import DeliveryError
from shared.objectstore import ERRORS, open_backend, to_store_fault

_CHUNK = 1024 * 1024
_MAX_MANIFEST = 32 * 1024 * 1024


class FileSource:
    """The finished files, read in chunks of about a MiB, no faster than the limit for all deliveries together."""

    def __init__(self, url: str, options: Mapping[str, str], *, limiter: BandwidthLimiter) -> None:
        """Raises InvalidSettings."""
        self._backend = open_backend(url, options)
        self._limiter = limiter

    async def read(self, key: str, offset: int = 0) -> AsyncIterator[bytes]:
        """Yield a file's content from an offset. Raises DeliveryError."""
        try:
            options = {"range": {"offset": offset}} if offset else {}
            found = await obstore.get_async(self._backend, key, options=options)  # type: ignore[arg-type]
            async for chunk in found.stream(min_chunk_size=_CHUNK):
                await self._limiter.take(len(chunk))
                yield bytes(chunk)
        except ERRORS as error:
            raise _to_delivery_error(error) from error

    async def read_manifest(self, key: str) -> bytes:
        """Return a run's manifest. Raises DeliveryError."""
        content = bytearray()
        async for chunk in self.read(key):
            content += chunk
            if len(content) > _MAX_MANIFEST:
                raise DeliveryError("file-missing", "The run's manifest is larger than any that Sluice writes.")
        return bytes(content)


def _to_delivery_error(error: BaseException) -> DeliveryError:
    fault = to_store_fault(error)
    if fault.kind == "missing":
        return DeliveryError(
            "file-missing",
            "A file is no longer in Sluice's own store: it has expired or was deleted. Run the job again.",
        )
    return DeliveryError("store-unavailable", f"Sluice's own store cannot be read: {fault.message}.")
