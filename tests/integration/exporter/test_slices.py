"""Large split runs: shared by several exporters, gone on with by others, always the same records."""

import pytest

from shared import events
from tests.integration.exporter.conftest import Exports
from tests.integration.exporter.gates import ROWS, GatedHistory
from tests.integration.exporter.proof import prove, told
from tests.support.listener import Listener

MIB = 1024 * 1024


@pytest.fixture(scope="module")
async def history(exports: Exports) -> GatedHistory:
    return await GatedHistory.create(exports.system.databases)


async def test_R4_two_exporters_share_a_run_and_give_the_records_of_one(
    exports: Exports, history: GatedHistory
) -> None:
    await exports.certificate_admitted()
    settings = {"SOURCE": history.reader, "SLICE_ROWS": "1000"}
    first, second = exports.exporter("first", **settings), exports.exporter("second", **settings)
    await first.ready()
    await second.ready()
    trigger = exports.trigger(split_size=MIB)
    # Nobody passes the last row until both have given parts: the run is not over before the second has joined.
    async with (
        history.closed_at("interaction", ROWS) as gate,
        told(exports, trigger.run_id) as story,
        Listener(exports.system.kafka, "sluice.progress") as progress,
    ):
        await exports.system.publish(trigger)
        await gate.reached()
        shared = await progress.find(lambda event: isinstance(event, events.RunProgressed) and event.slices is not None)
        await gate.open()
        found = await story()
    assert isinstance(shared, events.RunProgressed)
    assert shared.slices is not None
    assert sum(total for _, total in shared.slices) == shared.units_total
    manifest = await prove(exports, history, found)
    assert len(manifest["snapshots"]) == 1, "one snapshot, however many work in it (E6)"
    helped = [await each.metric("sluice_slices_helped_total") for each in (first, second)]
    assert min(helped) == 0 < max(helped), "one coordinates, the other helps"
    assert len([file for file in found.succeeded.files if file.kind == "interaction"]) > 4
    for each in (first, second):
        assert each.process.stop() == 0
