"""Large split runs: shared by several exporters, with the same records as one."""

import pytest

from shared import events
from tests.integration.exporter.conftest import ExportSystem
from tests.integration.exporter.gates import ROWS, GatedHistory
from tests.integration.exporter.proof import check_run, follow_run
from tests.support.listener import Listener

MIB = 1024 * 1024


@pytest.fixture(scope="module")
async def history(exports: ExportSystem) -> GatedHistory:
    return await GatedHistory.create(exports.system.databases)


async def test_R4_two_exporters_share_a_run_and_export_the_same_records(
    exports: ExportSystem, history: GatedHistory
) -> None:
    await exports.insert_certificate()
    settings = {"SOURCE": history.reader, "SLICE_ROWS": "1000"}
    first, second = exports.start_exporter("first", **settings), exports.start_exporter("second", **settings)
    await first.wait_ready()
    await second.wait_ready()
    trigger = exports.make_trigger(split_size=MIB)
    # The last row is gated until the run is shared, so that it cannot end before the second exporter has joined.
    async with (
        history.close_gate_at("interaction", ROWS) as gate,
        follow_run(exports, trigger.run_id) as story,
        Listener(exports.system.kafka, "sluice.progress") as progress,
    ):
        await exports.system.publish(trigger)
        await gate.wait_until_reached()
        shared = await progress.find(lambda event: isinstance(event, events.RunProgressed) and event.slices is not None)
        await gate.open()
        found = await story()
    assert isinstance(shared, events.RunProgressed)
    assert shared.slices is not None
    assert sum(total for _, total in shared.slices) == shared.units_total
    manifest = await check_run(exports, history, found)
    assert len(manifest["snapshots"]) == 1, "one snapshot for all exporters (E6)"
    helped = [await each.metric("sluice_slices_helped_total") for each in (first, second)]
    assert min(helped) == 0 < max(helped), "one coordinates, and the other helps"
    assert len([file for file in found.succeeded.files if file.kind == "interaction"]) > 4
    for each in (first, second):
        assert each.process.stop() == 0
