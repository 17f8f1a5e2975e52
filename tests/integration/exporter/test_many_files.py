"""A run with more files than its last event can list ends in words, and holds up no other (rule R5)."""

from datetime import timedelta
from functools import partial

import pytest

from exporter.errors import TooManyFiles
from exporter.package.objects import open_store
from exporter.runs.commit import RunCommitter, RunFiles
from exporter.runs.lease import Lease
from exporter.runs.outcome import OutcomeRecorder
from exporter.runs.preparation import PreparedRun
from exporter.store.runs import RunStore
from exporter.store.slices import SliceStore
from shared.clock import SystemClock
from shared.events import ExportedFile, Window
from shared.outbox import LARGEST_EVENT
from shared.postgres import open_pool
from tests.integration.exporter.conftest import ExportSystem

LEASE = timedelta(minutes=5)
PREPARED = PreparedRun(
    window=Window(),
    data_complete_through=None,
    data_complete_note=None,
    position=None,
    certificates=(),
    fingerprints=(),
)
FILE = ExportedFile(
    name="Interaction.zip.p7m",
    kind="interaction",
    part=1,
    rows=1,
    bytes_raw=1,
    bytes_packed=1,
    sha256="0" * 64,
    object="runs/1/Interaction.zip.p7m",
)


async def test_R5_a_run_with_too_many_files_fails_for_good_and_says_what_to_set(exports: ExportSystem) -> None:
    trigger = exports.make_trigger()
    await exports.admit(trigger)
    async with open_pool(exports.system.dsn("exporter"), size=2, name="commit") as pool:
        store = RunStore(pool)
        claim = await store.claim("exporter", LEASE, tenant_limit=None)
        assert claim is not None
        lease = Lease(partial(store.renew, claim), LEASE, clock=SystemClock())
        recorder = OutcomeRecorder(claim, lease, store=store, exporter="exporter")
        objects = open_store(exports.store.as_uri())
        committer = RunCommitter(claim, lease, recorder, store=store, slices=SliceStore(pool), objects=objects)
        files = (FILE,) * (LARGEST_EVENT // 150)
        with pytest.raises(TooManyFiles, match="set a larger file split size") as failed:
            await committer.commit(PREPARED, RunFiles(files=files, manifest="runs/1/manifest.json"))
        await recorder.record(failed.value)
    (run,) = await exports.system.fetch("exporter", "SELECT state FROM run WHERE run_id = $1", trigger.run_id)
    assert run["state"] == "failed", "one attempt, although the job allows several"
