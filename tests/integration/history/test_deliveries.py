"""D11, D6: deliveries from events on Kafka to lists, details, runs and live updates, and commands to deliverers."""

import asyncio
import json
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
from aiokafka import AIOKafkaConsumer

from shared.codec import Received, decode
from shared.events import CancelDelivery, DeliverySettings, JobSettings, RetryDelivery
from shared.topics import COMMANDS
from tests.integration.history.conftest import History
from tests.integration.history.test_history import new_scenario, wait_for_state
from tests.support.wait import eventually
from tests.unit.history.delivery_scenarios import DeliveryScenario
from tests.unit.history.scenarios import SETTINGS, RunScenario

PATH = "/api/v1/deliveries"


def keep(days: int, *destinations: UUID) -> JobSettings:
    """Return a job's settings that deliver to destinations and keep delivered files for some days."""
    return replace(SETTINGS, delivery=DeliverySettings(destinations=destinations, keep_days=days))


async def wait_for_delivery(client: httpx.AsyncClient, scenario: DeliveryScenario, state: str) -> dict[str, object]:
    async def reached() -> bool:
        answer = await client.get(f"{PATH}/{scenario.delivery_id}")
        return answer.status_code == 200 and answer.json()["state"] == state

    await eventually(reached)
    found: dict[str, object] = (await client.get(f"{PATH}/{scenario.delivery_id}")).json()
    return found


async def read_commands(history: History) -> list[object]:
    """Return the commands about deliveries that are on the topic."""
    consumer = AIOKafkaConsumer(COMMANDS.name, bootstrap_servers=history.system.kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        batches = (await consumer.getmany(timeout_ms=2_000)).values()
        records = [record for batch in batches for record in batch]
    finally:
        await consumer.stop()
    received = [Received(COMMANDS.name, 0, 0, each.key, each.value, tuple(each.headers)) for each in records]
    events = [decode(each).event for each in received]
    return [each for each in events if isinstance(each, RetryDelivery | CancelDelivery)]


async def test_D11_deliveries_are_listed_shown_on_the_run_pushed_retried_and_cancelled(
    history: History, operator: httpx.AsyncClient
) -> None:
    run = new_scenario(history).triggered().queued().started().part(1).succeeded()
    lake = DeliveryScenario(run).created().started().file("a").file("b").file("manifest.json").completed()
    archive = DeliveryScenario(run).created("Archive").started().attempt_failed()
    # Of another topic, so that they may be read before the run's own events.
    await history.system.publish(*lake.everything, *archive.everything, *run.everything)
    await wait_for_state(operator, run, "succeeded")
    details = await wait_for_delivery(operator, lake, "delivered")
    pending = await wait_for_delivery(operator, archive, "pending")
    assert (pending["code"], pending["attempt"], pending["retry_at"] is not None) == ("unreachable", 1, True)
    assert [each["kind"] for each in details["events"]] == ["created", "started", "delivered"]  # type: ignore[attr-defined]
    assert [each["name"] for each in details["delivered"]] == ["manifest.json", "b", "a"]  # type: ignore[attr-defined]
    assert (details["files"], details["files_done"], details["destination"], details["kind"]) == (
        2,
        3,
        "Data lake",
        "s3",
    )

    shown = (await operator.get(f"/api/v1/runs/{run.run_id}")).json()["deliveries"]
    assert [(each["destination"], each["state"]) for each in shown] == [
        ("Archive", "pending"),
        ("Data lake", "delivered"),
    ]
    listed = (await operator.get("/api/v1/runs", params={"job_id": str(run.job_id)})).json()["items"]
    assert listed[0]["deliveries"] == shown

    for query, expected in (
        ({"state": "pending"}, {str(archive.delivery_id)}),
        ({"destination_id": str(lake.destination_id)}, {str(lake.delivery_id)}),
        ({"search": "ARCH"}, {str(archive.delivery_id)}),
        ({"sort": "destination"}, {str(lake.delivery_id), str(archive.delivery_id)}),
    ):
        page = (await operator.get(PATH, params={"run_id": str(run.run_id), **query})).json()
        assert {each["id"] for each in page["items"]} == expected, query

    version = (await operator.get(f"/api/v1/runs/{run.run_id}")).json()["version"]
    await history.system.publish(*archive.failed().everything)
    await wait_for_delivery(operator, archive, "failed")
    stream = operator.stream("GET", "/api/v1/events", params={"run_id": str(run.run_id), "after": version})
    async with asyncio.timeout(60), stream as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {") and "deliveries" in line:
                break
    pushed = json.loads(line.removeprefix("data: "))["deliveries"]
    assert (pushed[0]["state"], pushed[0]["message"]) == ("failed", "Other content is already there.")

    assert (await operator.post(f"{PATH}/{archive.delivery_id}/cancel")).status_code == 409
    assert (await operator.post(f"{PATH}/{lake.delivery_id}/retry")).json()["type"].endswith("/delivery-state")
    assert (await operator.post(f"{PATH}/{archive.delivery_id}/retry")).status_code == 202
    await history.system.publish(*archive.retried().started().everything)
    await wait_for_delivery(operator, archive, "delivering")
    assert (await operator.post(f"{PATH}/{archive.delivery_id}/cancel")).status_code == 202

    async def both_are_published() -> bool:
        ours = [each for each in await read_commands(history) if each.delivery_id == archive.delivery_id]  # type: ignore[attr-defined]
        return [type(each) for each in ours] == [RetryDelivery, CancelDelivery]

    await eventually(both_are_published, timeout=60)


async def test_D10_files_are_removed_early_once_all_destinations_have_them_and_not_before(
    history: History, operator: httpx.AsyncClient
) -> None:
    ids = uuid4(), uuid4()
    runs = [new_scenario(history, settings=keep(days, *ids)) for days in (0, 0, 30)]
    for run in runs:
        run.triggered().queued().started().part(1).succeeded()
    complete, partial, later = [
        [DeliveryScenario(run, destination_id=each).created().started() for each in ids] for run in runs
    ]
    for scenario in (*complete, partial[0], *later):
        scenario.completed()
    # Deliveries first: they are of another topic than their run, so either may be read first.
    await history.system.publish(*(event for each in (*complete, *partial, *later) for event in each.everything))
    await wait_for_delivery(operator, later[1], "delivered")
    await history.system.publish(*(event for run in runs for event in run.everything))

    async def files_of(run: RunScenario) -> list[dict[str, Any]]:
        page = await operator.get("/api/v1/artifacts", params={"run_id": str(run.run_id)})
        found: list[dict[str, Any]] = page.json()["items"]
        return found

    async def is_removed() -> bool:
        return [each["state"] for each in await files_of(runs[0])] == ["expired"]

    await eventually(is_removed, timeout=60)
    for run in runs[1:]:
        await wait_for_state(operator, run, "succeeded")
        [file] = await files_of(run)
        assert (file["state"], file["days_remaining"]) == ("available", 30)
    await history.system.publish(*partial[1].completed().everything)

    async def is_removed_too() -> bool:
        return [each["state"] for each in await files_of(runs[1])] == ["expired"]

    await eventually(is_removed_too, timeout=60)
