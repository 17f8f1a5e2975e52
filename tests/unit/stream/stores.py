"""Reading an object store in tests: exporters only write, list and delete."""

import obstore

from exporter.package.objects import ObjectStore


async def read_object(store: ObjectStore, key: str) -> bytes:
    """Return an object's content. Raises FileNotFoundError."""
    found = await obstore.get_async(store._backend, key)
    return bytes(await found.bytes_async())


async def list_keys(store: ObjectStore, prefix: str = "runs") -> list[str]:
    """Return the sorted keys of the objects in a folder."""
    return sorted([key async for key in store.list_keys(prefix)])
