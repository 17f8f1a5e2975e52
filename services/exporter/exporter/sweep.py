"""Removing what no run will ever show: objects of lost tokens, of failed and of cancelled runs."""

from collections.abc import Set as AbstractSet
from uuid import UUID

from exporter.export_errors import ExportError
from exporter.objects import ObjectStore
from exporter.store import RunStore
from shared.errors import TransientError
from shared.observe import logger

log = logger(__name__)


def folder_of(run_id: UUID, token: int) -> str:
    """Return the folder of a claim's objects: a folder each, so that a stalled exporter overwrites nobody's work."""
    return f"runs/{run_id}/{token}"


def is_garbage(key: str, *, token: int, state: str, parts: AbstractSet[str]) -> bool:
    """Return whether an object can never become visible, given its run's token and state and the noted parts.

    What is written under the present token of a running run may yet be noted; a succeeded run keeps what its winner
    wrote.
    """
    written_under = int(key.split("/")[2])
    match state:
        case "running" | "succeeded":
            return written_under < token and key not in parts
        case "queued":
            return key not in parts
        case _:
            return True


async def sweep(run_id: UUID, store: RunStore, objects: ObjectStore) -> int:
    """Remove a run's garbage; return the number of objects. What cannot be removed now is left for the next sweep."""
    removed = 0
    try:
        token, state, parts = await store.standing(run_id)
        async for found in objects.list(f"runs/{run_id}"):
            if is_garbage(found.key, token=token, state=state, parts=parts):
                await objects.delete(found.key)
                removed += 1
    except (ExportError, TransientError) as error:
        log.warning("not swept", run_id=str(run_id), error=str(error))
    return removed
