"""Sweeping: deleting objects that no run will ever show, of lost tokens and of failed and cancelled runs."""

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from exporter.errors import ExportError
from exporter.package.objects import ObjectStore
from exporter.store.runs import RunOwnership, RunStore
from shared.errors import TransientError
from shared.events.values import FileKind
from shared.lifecycle import wait_for_first
from shared.observe import SWEEP_FAILURES, SWEPT_OBJECTS, get_logger

log = get_logger(__name__)
# The folders that the two functions below name.
_FOLDER = re.compile(r"runs/[^/]+/(?:(?P<token>\d+)|(?P<kind>[a-z-]+)\.(?P<number>\d+)\.(?P<slice_token>\d+))/")
_INTERVAL_SECONDS = 15.0
_MAX_RUNS = 20
_RETRY = timedelta(hours=1)
"""When a run is swept again of which the store refused to delete an object, perhaps because it is locked for days."""


def get_run_folder(run_id: UUID, token: int) -> str:
    """Return the folder of the objects that a run's coordinator writes itself."""
    return f"runs/{run_id}/{token}"


def get_slice_folder(run_id: UUID, kind: FileKind, number: int, *, token: int) -> str:
    """Return the folder of a slice's parts: one for each claim, so that a stalled exporter overwrites nothing."""
    return f"runs/{run_id}/{kind}.{number}.{token}"


def is_garbage(key: str, ownership: RunOwnership) -> bool:
    """Return whether an object can never become visible.

    An object that was written under a current token of a running run may still be saved as a part. A succeeded run
    keeps its parts and the manifest of its last token. What no exporter can have written is not ours to delete.
    """
    found = _FOLDER.match(key)
    if found is None:
        return False
    if ownership.state in {"failed", "cancelled", "skipped"}:
        return True
    if found["token"] is not None:
        return ownership.state == "queued" or int(found["token"]) < ownership.token
    current_token = ownership.slices.get((found["kind"], int(found["number"])))
    return key not in ownership.parts and current_token != int(found["slice_token"])


async def sweep(run_id: UUID, store: RunStore, objects: ObjectStore) -> int:
    """Delete a run's garbage and return the number of objects.

    What the store does not delete hinders nothing else; it is reported, and left to a later sweep.
    """
    deleted = 0
    try:
        # Listed before the ownership is read, so that objects written in between are not judged.
        finished = [key async for key in objects.list_keys(f"runs/{run_id}")]
        unfinished = await objects.list_unfinished(f"runs/{run_id}")
        ownership = await store.read_ownership(run_id)
        garbage = [key for key in finished if is_garbage(key, ownership)]
        remains = [key for key in unfinished if is_garbage(key, ownership)]
        faults = await objects.delete(garbage) | await objects.delete_unfinished(remains)
        deleted = len(garbage) + len(remains) - len(faults)
        if faults:
            await _report_faults(run_id, faults, store)
    except (ExportError, TransientError) as error:
        SWEEP_FAILURES.inc()
        log.warning("sweep failed", run_id=str(run_id), error=str(error))
    if deleted:
        SWEPT_OBJECTS.inc(deleted)
        log.info("objects swept", run_id=str(run_id), objects=deleted)
    return deleted


async def _report_faults(run_id: UUID, faults: Mapping[str, str], store: RunStore) -> None:
    SWEEP_FAILURES.inc(len(faults))
    for key, reason in faults.items():
        log.warning("object not deleted, retrying later", run_id=str(run_id), object=key, reason=reason)
    await store.schedule_sweep(run_id, _RETRY)


class Sweeper:
    """Sweeps ended runs again, for objects that killed or stalled exporters wrote after the last sweep."""

    def __init__(self, store: RunStore, objects: ObjectStore, *, interval: float = _INTERVAL_SECONDS) -> None:
        self._store = store
        self._objects = objects
        self._interval = interval

    async def run(self, stopping: asyncio.Event) -> None:
        """Sweep the runs that are due until `stopping` is set; all exporters share the work."""
        while not stopping.is_set():
            try:
                for run_id in await self._store.take_due_sweeps(_MAX_RUNS):
                    await sweep(run_id, self._store, self._objects)
            except TransientError as error:
                log.warning("due sweeps not read, retrying", error=str(error))
            await wait_for_first(stopping, seconds=self._interval)
