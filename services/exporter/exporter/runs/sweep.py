"""Removing what no run will ever show: objects of lost tokens, of failed and of cancelled runs."""

import asyncio
from uuid import UUID

from exporter.errors import ExportError
from exporter.package.objects import ObjectStore
from exporter.store.runs import RunStore, Standing
from shared.errors import TransientError
from shared.events.values import FileKind
from shared.lifecycle import wait_for_first
from shared.observe import SWEPT_OBJECTS, get_logger

log = get_logger(__name__)
_EVERY_SECONDS = 15.0
_RUNS_AT_ONCE = 20


def folder_of_run(run_id: UUID, token: int) -> str:
    """Return the folder of what a coordinator writes itself."""
    return f"runs/{run_id}/{token}"


def folder_of_slice(run_id: UUID, kind: FileKind, number: int, token: int) -> str:
    """Return the folder of a slice's parts: one a claim, so that a stalled exporter overwrites nobody's work."""
    return f"runs/{run_id}/{kind}.{number}.{token}"


def is_garbage(key: str, standing: Standing) -> bool:
    """Return whether an object can never become visible, as its run stands.

    What is written under a present token of a running run may yet be noted; a succeeded run keeps the noted parts and
    its winner's manifest.
    """
    if standing.state in {"failed", "cancelled", "skipped"}:
        return True
    kind, _, claim = key.split("/")[2].partition(".")
    if not claim:
        return standing.state == "queued" or int(kind) < standing.token
    number, token = map(int, claim.split("."))
    held = standing.slices.get((kind, number))
    return key not in standing.parts and held != token


async def sweep(run_id: UUID, store: RunStore, objects: ObjectStore) -> int:
    """Remove a run's garbage; return the number of objects. What cannot be removed now is left for the next sweep."""
    removed = 0
    try:
        # Listed before the run's standing is read, so that what is written in between is not judged.
        found = [each.key async for each in objects.list(f"runs/{run_id}")]
        unfinished = await objects.unfinished(f"runs/{run_id}")
        standing = await store.standing(run_id)
        for key in found:
            if is_garbage(key, standing):
                await objects.delete(key)
                removed += 1
        for key in unfinished:
            if is_garbage(key, standing):
                await objects.drop_unfinished(key)
                removed += 1
    except (ExportError, TransientError) as error:
        log.warning("not swept", run_id=str(run_id), error=str(error))
    if removed:
        SWEPT_OBJECTS.inc(removed)
        log.info("swept", run_id=str(run_id), objects=removed)
    return removed


class Sweeper:
    """Looks through the objects of ended runs again, for what killed or stalled exporters wrote after the last look."""

    def __init__(self, store: RunStore, objects: ObjectStore, *, every: float = _EVERY_SECONDS) -> None:
        self._store = store
        self._objects = objects
        self._every = every

    async def run(self, stopping: asyncio.Event) -> None:
        """Sweep what is due until `stopping` is set; any number of exporters share it."""
        while not stopping.is_set():
            try:
                for run_id in await self._store.due_sweeps(_RUNS_AT_ONCE):
                    await sweep(run_id, self._store, self._objects)
            except TransientError as error:
                log.warning("cannot look for what is to be swept", error=str(error))
            await wait_for_first(stopping, seconds=self._every)
