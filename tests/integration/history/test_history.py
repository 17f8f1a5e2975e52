"""History's processes, from events on Kafka to what REST clients see."""

import base64
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from shared import events
from shared.clock import SystemClock
from tests.integration.history.conftest import History
from tests.support.listener import Listener
from tests.support.wait import eventually
from tests.unit.history.scenarios import RunScenario

FILE = bytes(range(256)) * 40
SUM = hashlib.sha256(FILE).hexdigest()


def new_scenario(history: History, **known: object) -> RunScenario:
    return RunScenario(tenant_id=history.tenant_id, at=SystemClock().now() - timedelta(seconds=30), **known)  # type: ignore[arg-type]


async def fetch_state(client: httpx.AsyncClient, run_id: UUID) -> str | None:
    response = await client.get(f"/api/v1/runs/{run_id}")
    return response.json()["state"] if response.status_code == 200 else None


async def wait_for_state(client: httpx.AsyncClient, scenario: RunScenario, state: str) -> dict[str, object]:
    async def reached() -> bool:
        return await fetch_state(client, scenario.run_id) == state

    await eventually(reached)
    found: dict[str, object] = (await client.get(f"/api/v1/runs/{scenario.run_id}")).json()
    return found


@pytest.fixture(scope="module")
async def finished_run(history: History, operator: httpx.AsyncClient) -> RunScenario:
    """Return a run that has succeeded, with a file and a manifest in the store."""
    scenario = new_scenario(history).triggered().queued().started().progressed(5).part(1)
    scenario.succeeded(packed=len(FILE), sha256=SUM)
    folder = history.store / "runs" / str(scenario.run_id) / str(scenario.token)
    await eventually(lambda: write_files(folder, {"part-0001": FILE, "manifest.json": b'{"files": []}'}))
    await history.system.publish(*scenario.everything)
    await wait_for_state(operator, scenario, "succeeded")
    return scenario


def write_files(folder: Path, files: dict[str, bytes]) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return True


async def fetch_artifact(client: httpx.AsyncClient, scenario: RunScenario) -> dict[str, object]:
    items = (await client.get("/api/v1/artifacts", params={"run_id": str(scenario.run_id)})).json()["items"]
    found: dict[str, object] = items[0]
    return found


async def test_H1_H2_a_run_is_shown_with_settings_timeline_parts_and_files(
    operator: httpx.AsyncClient, finished_run: RunScenario
) -> None:
    run = (await operator.get(f"/api/v1/runs/{finished_run.run_id}")).json()
    assert run["title"] == "Nightly export"
    assert run["settings"]["source"] == "contact_history"
    assert [event["kind"] for event in run["events"]] == ["triggered", "queued", "started", "succeeded"]
    assert [part["rows"] for part in run["parts"]] == [10]
    assert [file["name"] for file in run["artifacts"]] == [f"Interaction-{finished_run.job_id}-part-0001.zip.p7m"]
    assert (run["progress"], run["progress_detail"], run["estimate"], run["files"], run["rows"]) == (
        1.0,
        None,
        None,
        1,
        10,
    )
    assert run["duration_seconds"] == pytest.approx(3.0)


async def test_H8_messages_that_come_twice_and_out_of_order_leave_the_run_as_it_was(
    history: History, operator: httpx.AsyncClient, finished_run: RunScenario
) -> None:
    before = (await operator.get(f"/api/v1/runs/{finished_run.run_id}")).json()
    last = new_scenario(history).triggered()
    await history.system.publish(*reversed(finished_run.everything), *last.everything)
    await wait_for_state(operator, last, "queued")
    after = (await operator.get(f"/api/v1/runs/{finished_run.run_id}")).json()
    assert {**after, "version": 0} == {**before, "version": 0}


async def test_S7_a_skipped_slot_is_in_the_log_with_its_reason(history: History, operator: httpx.AsyncClient) -> None:
    scenario = new_scenario(history).slot_skipped()
    await history.system.publish(*scenario.everything)
    run = await wait_for_state(operator, scenario, "skipped")
    assert run["reason"] == "suspended"


async def test_H3_H4_progress_brings_an_estimate_from_the_faust_app(
    history: History, operator: httpx.AsyncClient
) -> None:
    scenario = new_scenario(history).triggered().queued().started()
    for done in range(10, 60, 10):
        scenario.progressed(done)
    await history.system.publish(*scenario.everything)

    async def estimated() -> dict[str, object] | None:
        run = (await operator.get(f"/api/v1/runs/{scenario.run_id}")).json()
        return run if run.get("estimate") and run["progress"] == 0.5 else None

    run = await eventually(estimated)
    assert run is not None
    estimate = run["estimate"]
    assert isinstance(estimate, dict)
    assert 0 < estimate["low"] <= estimate["seconds"] <= estimate["high"]
    assert run["state"] == "running"


async def test_H5_estimates_are_scored_when_the_run_has_ended(history: History, operator: httpx.AsyncClient) -> None:
    scenario = new_scenario(history).triggered().queued().started().progressed(50)
    await history.system.publish(*scenario.everything)

    async def estimated() -> bool:
        return bool((await operator.get(f"/api/v1/runs/{scenario.run_id}")).json().get("estimate"))

    scenario.progressed(60)
    await history.system.publish(*scenario.progress)
    await eventually(estimated)
    ended = replace(scenario, at=SystemClock().now() + timedelta(seconds=5), triggers=[], progress=[], runs=[])
    await history.system.publish(*ended.succeeded().everything)

    async def scored() -> list[asyncpg.Record]:
        query = "SELECT error_ratio, coverage, curve, estimates FROM estimate_score WHERE run_id = $1"
        return await history.system.fetch("history", query, scenario.run_id)

    [score] = await eventually(scored)
    assert score["error_ratio"] >= 0
    assert 0 <= score["coverage"] <= 1
    assert len(score["curve"]) == 21
    assert score["estimates"] >= 1
    assert await history.system.fetch("history", "SELECT FROM estimate_state WHERE run_id = $1", scenario.run_id) == []


async def test_what_the_estimates_cannot_read_goes_to_the_dead_letters(history: History) -> None:
    before = await history.estimates.metric(
        "sluice_dead_letters_total", group="sluice.history.estimates", topic="sluice.progress"
    )
    await history.system.publish_raw("sluice.progress", b"{", {"ce_type": b"sluice.run.progressed.v1"})

    async def is_counted() -> bool:
        labels = {"group": "sluice.history.estimates", "topic": "sluice.progress"}
        return await history.estimates.metric("sluice_dead_letters_total", **labels) > before

    await eventually(is_counted)


async def test_J4_J11_the_list_filters_sorts_and_pages_on_the_server(
    history: History, operator: httpx.AsyncClient
) -> None:
    job = uuid4()
    scenarios = [new_scenario(history, job_id=job).triggered().queued() for _ in range(5)]
    for number, scenario in enumerate(scenarios):
        scenario.started()
        if number % 2:
            scenario.failed()
    await history.system.publish(*(event for scenario in scenarios for event in scenario.everything))
    for number, scenario in enumerate(scenarios):
        await wait_for_state(operator, scenario, "failed" if number % 2 else "running")
    params: dict[str, str | int] = {"job_id": str(job), "limit": 2, "sort": "created_at"}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await operator.get("/api/v1/runs", params=params | ({"cursor": cursor} if cursor else {}))).json()
        seen += [run["id"] for run in page["items"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == 5
    failed = (await operator.get("/api/v1/runs", params={"job_id": str(job), "state": "failed"})).json()["items"]
    assert {run["state"] for run in failed} == {"failed"}
    assert len(failed) == 2
    for sort in ("started_at", "-duration_seconds", "title", "state", "-rows", "files", "type", "source", "ended_at"):
        first = (await operator.get("/api/v1/runs", params={"job_id": str(job), "sort": sort, "limit": 3})).json()
        rest = (
            await operator.get("/api/v1/runs", params={"job_id": str(job), "sort": sort, "cursor": first["next"]})
        ).json()
        assert len({run["id"] for run in first["items"] + rest["items"]}) == 5


@pytest.mark.parametrize(
    "params", [{"sort": "nothing"}, {"cursor": "@@@"}, {"cursor": "WyIxIl0"}, {"limit": 0}, {"status": "failed"}]
)
async def test_I2_an_invalid_request_gets_a_problem_with_its_errors(
    operator: httpx.AsyncClient, params: dict[str, str]
) -> None:
    response = await operator.get("/api/v1/runs", params=params)
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["errors"]


async def test_R6_cancelling_sends_a_command_and_ended_runs_cannot_be_cancelled(
    history: History, operator: httpx.AsyncClient, finished_run: RunScenario
) -> None:
    scenario = new_scenario(history).triggered().queued().started()
    await history.system.publish(*scenario.everything)
    await wait_for_state(operator, scenario, "running")
    async with Listener(history.system.kafka, "sluice.commands") as commands:
        response = await operator.post(f"/api/v1/runs/{scenario.run_id}/cancel")
        command = await commands.find(lambda event: getattr(event, "run_id", None) == scenario.run_id)
    assert response.status_code == 202
    assert isinstance(command, events.CancelRun)
    assert command.job_id == scenario.job_id
    assert (await operator.post(f"/api/v1/runs/{finished_run.run_id}/cancel")).status_code == 409


async def test_A1_A3_a_file_is_listed_and_downloaded_whole_and_in_ranges(
    operator: httpx.AsyncClient, finished_run: RunScenario
) -> None:
    file = await fetch_artifact(operator, finished_run)
    assert (file["days_remaining"], file["state"], file["size"]) == (30, "available", len(FILE))
    url = f"/api/v1/artifacts/{file['id']}/content"
    whole = await operator.get(url)
    assert whole.content == FILE
    assert whole.headers["repr-digest"] == f"sha-256=:{base64.b64encode(bytes.fromhex(SUM)).decode()}:"
    assert whole.headers["etag"] == f'"{SUM}"'
    assert str(file["name"]) in whole.headers["content-disposition"]
    rest = await operator.get(url, headers={"Range": "bytes=1000-", "If-Range": whole.headers["etag"]})
    assert (rest.status_code, rest.content) == (206, FILE[1000:])
    assert rest.headers["content-range"] == f"bytes 1000-{len(FILE) - 1}/{len(FILE)}"
    assert (await operator.get(url, headers={"Range": "bytes=-10"})).content == FILE[-10:]
    assert (await operator.get(url, headers={"Range": "bytes=5-9", "If-Range": '"other"'})).content == FILE
    assert (await operator.get(url, headers={"Range": f"bytes={len(FILE)}-"})).status_code == 416
    assert (await operator.get(url, headers={"If-None-Match": whole.headers["etag"]})).status_code == 304
    weak = {"If-None-Match": f"W/{whole.headers['etag']}"}
    assert (await operator.get(url, headers=weak)).status_code == 304
    assert (await fetch_artifact(operator, finished_run))["downloads"] == 2


async def test_A3_head_has_a_file_s_headers_and_is_not_counted(
    operator: httpx.AsyncClient, finished_run: RunScenario
) -> None:
    file = await fetch_artifact(operator, finished_run)
    head = await operator.head(f"/api/v1/artifacts/{file['id']}/content")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(FILE))
    assert (head.headers["etag"], head.headers["accept-ranges"]) == (f'"{SUM}"', "bytes")
    assert (await fetch_artifact(operator, finished_run))["downloads"] == file["downloads"]


async def test_P5_the_manifest_is_served(operator: httpx.AsyncClient, finished_run: RunScenario) -> None:
    response = await operator.get(f"/api/v1/runs/{finished_run.run_id}/manifest")
    assert response.json() == {"files": []}
    head = await operator.head(f"/api/v1/runs/{finished_run.run_id}/manifest")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "13")


async def test_A2_a_removed_file_is_410(history: History, operator: httpx.AsyncClient) -> None:
    scenario = new_scenario(history).triggered().queued().started().succeeded().expired("deleted")
    await history.system.publish(*scenario.everything)
    await wait_for_state(operator, scenario, "succeeded")
    file = await fetch_artifact(operator, scenario)
    assert (file["state"], file["days_remaining"]) == ("deleted", 0)
    assert (await operator.get(f"/api/v1/artifacts/{file['id']}/content")).status_code == 410


async def test_H2_a_run_removed_from_the_log_is_not_shown(history: History, operator: httpx.AsyncClient) -> None:
    scenario = new_scenario(history).triggered().queued().started().failed()
    await history.system.publish(*scenario.everything)
    await wait_for_state(operator, scenario, "failed")
    removed = replace(scenario, triggers=[], runs=[]).removed()
    await history.system.publish(*removed.everything)

    async def gone() -> bool:
        return await fetch_state(operator, scenario.run_id) is None

    await eventually(gone)


async def test_U2_a_viewer_sees_runs_and_cannot_download_or_cancel(history: History, finished_run: RunScenario) -> None:
    viewer = await history.client("viewer")
    file = await fetch_artifact(viewer, finished_run)
    assert (await viewer.get(f"/api/v1/artifacts/{file['id']}/content")).status_code == 403
    assert (await viewer.post(f"/api/v1/runs/{finished_run.run_id}/cancel")).status_code == 403
    nobody = await history.client()
    assert (await nobody.get("/api/v1/runs")).status_code == 403


async def test_U1_nothing_is_shown_without_a_token(history: History) -> None:
    async with httpx.AsyncClient(base_url=history.api.url) as stranger:
        for url in ("/api/v1/runs", "/api/v1/artifacts", "/api/v1/events", f"/api/v1/runs/{uuid4()}"):
            assert (await stranger.get(url)).status_code == 401


async def test_U3_a_foreign_id_and_an_unknown_one_get_the_same_response(
    history: History, operator: httpx.AsyncClient, finished_run: RunScenario
) -> None:
    foreign = await history.client("admin", tenant_id=uuid4())
    file = await fetch_artifact(operator, finished_run)
    documented = (await operator.get("/api/v1/openapi.json")).json()["paths"]
    operations = [
        (method, path)
        for path, operations in documented.items()
        for method in operations
        if "{run_id}" in path or "{artifact_id}" in path
    ]
    assert len(operations) >= 5
    for method, path in operations:
        responses = []
        for run_id, artifact_id in ((finished_run.run_id, file["id"]), (uuid4(), uuid4())):
            url = path.replace("{run_id}", str(run_id)).replace("{artifact_id}", str(artifact_id))
            response = await foreign.request(method, url)
            problem = response.json() if method != "head" else {}
            body = {name: value for name, value in problem.items() if name != "instance"}
            responses.append((response.status_code, json.dumps(body)))
        assert responses[0] == responses[1], path
        assert responses[0][0] == 404, path
    assert (await foreign.get("/api/v1/runs", params={"job_id": str(finished_run.job_id)})).json()["items"] == []
    assert (await foreign.get("/api/v1/artifacts", params={"run_id": str(finished_run.run_id)})).json()["items"] == []
