"""The log rebuilt from the topics alone."""

import subprocess
import sys
from collections.abc import Mapping

import httpx

from deploy.local.processes import plain_environment
from tests.integration.history.conftest import History
from tests.integration.history.test_deliveries import wait_for_delivery
from tests.integration.history.test_history import new_scenario, wait_for_state
from tests.unit.history.delivery_scenarios import DeliveryScenario

TABLES = {
    "run": "run_id",
    "run_event": "run_id, token, seq, kind",
    "part": "run_id, kind, part",
    "artifact": "artifact_id",
    "delivery": "delivery_id",
    "delivery_event": "delivery_id, token, seq",
    "delivered_file": "delivery_id, name",
}


async def log_of(history: History) -> Mapping[str, list[dict[str, object]]]:
    """Return the log's rows without their versions, which every change draws anew."""
    found = {}
    for table, order in TABLES.items():
        rows = await history.system.fetch("history", f"SELECT * FROM {table} ORDER BY {order}")
        found[table] = [{name: value for name, value in row.items() if name != "version"} for row in rows]
    return found


def rebuild(history: History) -> str:
    environment = {
        "SLUICE_KAFKA_BOOTSTRAP": history.system.kafka,
        "SLUICE_HISTORY_POSTGRES": history.system.dsn("history"),
        "SLUICE_HISTORY_STORE": history.store.as_uri(),
    }
    command = [sys.executable, "-m", "history", "rebuild"]
    completed = subprocess.run(
        command,
        env=plain_environment(environment),
        cwd=history.system.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert completed.returncode == 0, completed.stderr
    return completed.stdout


async def test_H7_the_log_is_rebuilt_from_the_events_row_by_row(history: History, operator: httpx.AsyncClient) -> None:
    scenarios = [new_scenario(history).triggered().queued().started().progressed(10).part(1) for _ in range(4)]
    scenarios[0].part(2).succeeded(2).expired()
    scenarios[1].attempt_failed().started(2).part(1).failed(2)
    scenarios[2].started().progressed(20).estimated(7.0)
    scenarios[3].cancelled().removed()
    skipped = new_scenario(history).slot_skipped()
    await history.system.publish(*(event for scenario in (*scenarios, skipped) for event in scenario.everything))
    delivery = DeliveryScenario(scenarios[0]).created().started().file("a").attempt_failed().started().file("a")
    await history.system.publish(*delivery.file("manifest.json").completed().everything)
    await wait_for_delivery(operator, delivery, "delivered")
    for scenario, state in zip((*scenarios[:3], skipped), ("succeeded", "failed", "running", "skipped"), strict=True):
        await wait_for_state(operator, scenario, state)
    last = new_scenario(history).triggered()
    await history.system.publish(*last.everything)
    await wait_for_state(operator, last, "queued")
    history.estimates.process.stop()  # it would keep estimating the open run and so change the log
    barrier = new_scenario(history).triggered()
    await history.system.publish(*barrier.everything)
    await wait_for_state(operator, barrier, "queued")
    before = await log_of(history)
    assert "rebuilt" in rebuild(history)
    assert await log_of(history) == before
    for table in TABLES:
        await history.system.fetch("history", f"DELETE FROM {table}")
    rebuild(history)
    assert await log_of(history) == before


async def test_H7_the_recorder_continues_after_a_rebuild(history: History, operator: httpx.AsyncClient) -> None:
    scenario = new_scenario(history).triggered().queued()
    await history.system.publish(*scenario.everything)
    await wait_for_state(operator, scenario, "queued")
    rebuild(history)
    await history.system.publish(*scenario.started().failed().runs)
    assert (await wait_for_state(operator, scenario, "failed"))["version"]
