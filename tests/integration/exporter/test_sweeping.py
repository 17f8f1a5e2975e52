"""The sweeper: objects that killed exporters wrote after a run's end are deleted by a later sweep."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from prometheus_client import REGISTRY

from exporter.package.objects import open_store
from exporter.runs.sweep import Sweeper, get_run_folder, get_slice_folder
from exporter.store.runs import RunStore
from shared.postgres import open_pool
from tests.integration.exporter.conftest import ExportSystem
from tests.support.wait import eventually

NOBODY = 65534
DUE = "UPDATE run SET sweep_at = clock_timestamp() WHERE run_id = $1"
NEXT = "SELECT sweep_at > clock_timestamp() AS later FROM run WHERE run_id = $1"


async def test_R2_objects_written_after_a_run_s_end_are_swept_repeatedly(exports: ExportSystem) -> None:
    await exports.insert_certificate()
    trigger = exports.make_trigger()
    exporter = exports.start_exporter("exporter")
    await exports.admit(trigger)
    assert await exports.wait_until_ended(trigger.run_id) == "succeeded"
    assert exporter.process.stop() == 0
    visible = exports.list_objects(trigger.run_id)
    assert len(visible) == 3, "two files and the manifest"

    stopping = asyncio.Event()
    async with open_pool(exports.system.dsn("exporter"), size=1, name="sweeper") as pool:
        sweeper = Sweeper(RunStore(pool), open_store(exports.store.as_uri()), interval=0.1)
        sweeping = asyncio.create_task(sweeper.run(stopping))
        for late in ("one", "two"):
            for path in make_garbage(exports.store, trigger.run_id, late):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"written under a lost token")
            await exports.system.fetch("exporter", DUE, trigger.run_id)
            await eventually(lambda: exports.list_objects(trigger.run_id) == visible)
            [row] = await exports.system.fetch("exporter", NEXT, trigger.run_id)
            assert row["later"], "another sweep is scheduled"
        # A failed sweep is not the last one.
        aside = exports.store.rename(exports.store.with_name("aside"))
        exports.store.write_text("not a folder")
        await exports.system.fetch("exporter", DUE, trigger.run_id)
        await eventually(lambda: is_sweep_scheduled(exports, trigger.run_id))
        exports.store.unlink()
        aside.rename(exports.store)
        for path in make_garbage(exports.store, trigger.run_id, "three"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"written under a lost token")
        await exports.system.fetch("exporter", DUE, trigger.run_id)
        await eventually(lambda: exports.list_objects(trigger.run_id) == visible)
        stopping.set()
        await sweeping


async def test_R2_an_object_that_the_store_refuses_to_delete_hinders_no_other(
    exports: ExportSystem, servers_folder: Path
) -> None:
    store = servers_folder / "store-that-refuses"
    runs = [exports.make_trigger().run_id for _ in range(2)]
    await exports.insert_cancelled_runs(runs)
    paths = [path for run_id in runs for path in make_garbage(store, run_id, "one")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"written under a lost token")
    failures = read_sweep_failures()
    async with open_pool(exports.system.dsn("exporter"), size=1, name="sweeper") as pool:
        sweeper = Sweeper(RunStore(pool), open_store(store.as_uri()), interval=0.1)
        with refuse_to_delete(paths[0], store):
            await sweep_until(sweeper, lambda: [path for path in paths if path.exists()] == paths[:1])
            await sweep_until(sweeper, lambda: read_sweep_failures() > failures)
        within = "SELECT sweep_at < clock_timestamp() + interval '61 minutes' AS soon FROM run WHERE run_id = $1"
        [row] = await exports.system.fetch("exporter", within, runs[0])
        assert row["soon"], "the object is tried again"
        await exports.system.fetch("exporter", DUE, runs[0])
        await sweep_until(sweeper, lambda: not paths[0].exists())


def read_sweep_failures() -> float:
    return REGISTRY.get_sample_value("sluice_sweep_failures_total") or 0.0


async def sweep_until(sweeper: Sweeper, check: Callable[[], bool]) -> None:
    stopping = asyncio.Event()
    sweeping = asyncio.create_task(sweeper.run(stopping))
    await eventually(check)
    stopping.set()
    await sweeping


@contextmanager
def refuse_to_delete(path: Path, store: Path) -> Iterator[None]:
    """Have the file system refuse to delete one file of a store; this process gives up the superuser's rights."""
    is_superuser = os.geteuid() == 0
    if is_superuser:
        for each in (store, *store.rglob("*")):
            os.chown(each, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    path.parent.chmod(0o555)
    try:
        yield
    finally:
        path.parent.chmod(0o755)
        if is_superuser:
            os.seteuid(0)


async def is_sweep_scheduled(exports: ExportSystem, run_id: UUID) -> bool:
    [row] = await exports.system.fetch("exporter", NEXT, run_id)
    return bool(row["later"])


def make_garbage(store: Path, run_id: UUID, name: str) -> list[Path]:
    """Return objects of lost tokens: a part, a manifest, and an unfinished part."""
    token = {"one": 90, "two": 91, "three": 92}[name]
    part = store / get_slice_folder(run_id, "interaction", 1, token=token) / "late.zip.p7m"
    return [
        part,
        store / get_run_folder(run_id, 0) / "manifest.json",
        store / get_slice_folder(run_id, "interaction", 2, token=token) / "late.zip.p7m#1",
    ]
