"""The sweeper's own loop: what killed exporters wrote after a run's end is found at a later look, and at every one."""

import asyncio
from pathlib import Path
from uuid import UUID

from exporter.package.objects import open_store
from exporter.runs.sweep import Sweeper, get_run_folder, get_slice_folder
from exporter.store.runs import RunStore
from shared.postgres import open_pool
from tests.integration.exporter.conftest import Exports
from tests.support.wait import eventually

DUE = "UPDATE run SET sweep_at = clock_timestamp() WHERE run_id = $1"
NEXT = "SELECT sweep_at > clock_timestamp() AS later FROM run WHERE run_id = $1"


async def test_R2_what_is_written_after_a_run_s_end_is_swept_again_and_again(exports: Exports) -> None:
    await exports.certificate_admitted()
    trigger = exports.trigger()
    exporter = exports.exporter("exporter")
    await exports.admit(trigger)
    assert await exports.ended(trigger.run_id) == "succeeded"
    assert exporter.process.stop() == 0
    shown = exports.objects(trigger.run_id)
    assert len(shown) == 3, "two files and the manifest"

    stopping = asyncio.Event()
    async with open_pool(exports.system.dsn("exporter"), size=1, name="sweeper") as pool:
        sweeper = Sweeper(RunStore(pool), open_store(exports.store.as_uri()), interval=0.1)
        sweeping = asyncio.create_task(sweeper.run(stopping))
        for late in ("one", "two"):
            for path in left_behind(exports.store, trigger.run_id, late):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(b"what a lost token wrote")
            await exports.system.fetch("exporter", DUE, trigger.run_id)
            await eventually(lambda: exports.objects(trigger.run_id) == shown)
            [row] = await exports.system.fetch("exporter", NEXT, trigger.run_id)
            assert row["later"], "and it will be looked at once more"
        # A look that fails is not the last one.
        aside = exports.store.rename(exports.store.with_name("aside"))
        exports.store.write_text("not a folder")
        await exports.system.fetch("exporter", DUE, trigger.run_id)
        await eventually(lambda: looked(exports, trigger.run_id))
        exports.store.unlink()
        aside.rename(exports.store)
        for path in left_behind(exports.store, trigger.run_id, "three"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"what a lost token wrote")
        await exports.system.fetch("exporter", DUE, trigger.run_id)
        await eventually(lambda: exports.objects(trigger.run_id) == shown)
        stopping.set()
        await sweeping


async def looked(exports: Exports, run_id: UUID) -> bool:
    [row] = await exports.system.fetch("exporter", NEXT, run_id)
    return bool(row["later"])


def left_behind(store: Path, run_id: UUID, name: str) -> list[Path]:
    """Return objects of tokens that lost: a part, a manifest, and a part that was never finished."""
    token = {"one": 90, "two": 91, "three": 92}[name]
    part = store / get_slice_folder(run_id, "interaction", 1, token=token) / "late.zip.p7m"
    return [
        part,
        store / get_run_folder(run_id, 0) / "manifest.json",
        store / get_slice_folder(run_id, "interaction", 2, token=token) / "late.zip.p7m#1",
    ]
