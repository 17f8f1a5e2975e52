"""The sweeper: objects that killed exporters wrote after a run's end are deleted by a later sweep."""

import asyncio
from pathlib import Path
from uuid import UUID

from exporter.package.objects import open_store
from exporter.runs.sweep import Sweeper, get_run_folder, get_slice_folder
from exporter.store.runs import RunStore
from shared.postgres import open_pool
from tests.integration.exporter.conftest import ExportSystem
from tests.support.wait import eventually

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
