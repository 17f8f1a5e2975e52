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


def story_of(history: History, **known: object) -> RunScenario:
    return RunScenario(tenant_id=history.tenant_id, at=SystemClock().now() - timedelta(seconds=30), **known)  # type: ignore[arg-type]


async def state_of(client: httpx.AsyncClient, run_id: UUID) -> str | None:
    answer = await client.get(f"/api/v1/runs/{run_id}")
    return answer.json()["state"] if answer.status_code == 200 else None


async def shown(client: httpx.AsyncClient, story: RunScenario, state: str) -> dict[str, object]:
    async def reached() -> bool:
        return await state_of(client, story.run_id) == state

    await eventually(reached)
    found: dict[str, object] = (await client.get(f"/api/v1/runs/{story.run_id}")).json()
    return found


@pytest.fixture(scope="module")
async def done(history: History, operator: httpx.AsyncClient) -> RunScenario:
    """Return a run that has succeeded, with a file and a manifest in the store."""
    story = story_of(history).triggered().queued().started().progressed(5).part(1)
    story.succeeded(packed=len(FILE), sha256=SUM)
    folder = history.store / "runs" / str(story.run_id) / str(story.token)
    await eventually(lambda: put(folder, {"part-0001": FILE, "manifest.json": b'{"files": []}'}))
    await history.system.publish(*story.everything)
    await shown(operator, story, "succeeded")
    return story


def put(folder: Path, files: dict[str, bytes]) -> bool:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return True


async def artifact_of(client: httpx.AsyncClient, story: RunScenario) -> dict[str, object]:
    items = (await client.get("/api/v1/artifacts", params={"run": str(story.run_id)})).json()["items"]
    found: dict[str, object] = items[0]
    return found


async def test_H1_H2_a_run_is_shown_with_settings_timeline_parts_and_files(
    operator: httpx.AsyncClient, done: RunScenario
) -> None:
    run = (await operator.get(f"/api/v1/runs/{done.run_id}")).json()
    assert run["title"] == "Nightly export"
    assert run["settings"]["source"] == "contact_history"
    assert [event["kind"] for event in run["events"]] == ["triggered", "queued", "started", "succeeded"]
    assert [part["rows"] for part in run["parts"]] == [10]
    assert [file["name"] for file in run["artifacts"]] == [f"Interaction-{done.job_id}-part-0001.zip.p7m"]
    assert (run["share"], run["progress"], run["estimate"], run["files"], run["rows"]) == (1.0, None, None, 1, 10)
    assert run["duration_seconds"] == pytest.approx(3.0)


async def test_H8_messages_that_come_twice_and_out_of_order_leave_the_run_as_it_was(
    history: History, operator: httpx.AsyncClient, done: RunScenario
) -> None:
    before = (await operator.get(f"/api/v1/runs/{done.run_id}")).json()
    last = story_of(history).triggered()
    await history.system.publish(*reversed(done.everything), *last.everything)
    await shown(operator, last, "queued")
    after = (await operator.get(f"/api/v1/runs/{done.run_id}")).json()
    assert {**after, "version": 0} == {**before, "version": 0}


async def test_S7_a_skipped_slot_is_in_the_log_with_its_reason(history: History, operator: httpx.AsyncClient) -> None:
    story = story_of(history).slot_skipped()
    await history.system.publish(*story.everything)
    run = await shown(operator, story, "skipped")
    assert run["reason"] == "suspended"


async def test_H3_H4_progress_brings_an_estimate_from_the_faust_app(
    history: History, operator: httpx.AsyncClient
) -> None:
    story = story_of(history).triggered().queued().started()
    for done in range(10, 60, 10):
        story.progressed(done)
    await history.system.publish(*story.everything)

    async def estimated() -> dict[str, object] | None:
        run = (await operator.get(f"/api/v1/runs/{story.run_id}")).json()
        return run if run.get("estimate") and run["share"] == 0.5 else None

    run = await eventually(estimated)
    assert run is not None
    estimate = run["estimate"]
    assert isinstance(estimate, dict)
    assert 0 < estimate["low"] <= estimate["seconds"] <= estimate["high"]
    assert run["state"] == "running"


async def test_H5_what_was_shown_is_scored_when_the_run_has_ended(
    history: History, operator: httpx.AsyncClient
) -> None:
    story = story_of(history).triggered().queued().started().progressed(50)
    await history.system.publish(*story.everything)

    async def estimated() -> bool:
        return bool((await operator.get(f"/api/v1/runs/{story.run_id}")).json().get("estimate"))

    story.progressed(60)
    await history.system.publish(*story.progress)
    await eventually(estimated)
    ended = replace(story, at=SystemClock().now() + timedelta(seconds=5), triggers=[], progress=[], runs=[])
    await history.system.publish(*ended.succeeded().everything)

    async def scored() -> list[asyncpg.Record]:
        query = "SELECT error_ratio, coverage, curve, estimates FROM estimate_score WHERE run_id = $1"
        return await history.system.fetch("history", query, story.run_id)

    [score] = await eventually(scored)
    assert score["error_ratio"] >= 0
    assert 0 <= score["coverage"] <= 1
    assert len(score["curve"]) == 21
    assert score["estimates"] >= 1
    assert await history.system.fetch("history", "SELECT FROM estimate_state WHERE run_id = $1", story.run_id) == []


async def test_what_the_estimates_cannot_read_goes_to_the_dead_letters_and_they_go_on(history: History) -> None:
    before = await history.estimates.metric(
        "sluice_dead_letters_total", group="sluice.history.estimates", topic="sluice.progress"
    )
    await history.system.publish_raw("sluice.progress", b"{", {"ce_type": b"sluice.run.progressed.v1"})

    async def buried() -> bool:
        labels = {"group": "sluice.history.estimates", "topic": "sluice.progress"}
        return await history.estimates.metric("sluice_dead_letters_total", **labels) > before

    await eventually(buried)


async def test_J4_J11_the_list_filters_sorts_and_pages_on_the_server(
    history: History, operator: httpx.AsyncClient
) -> None:
    job = uuid4()
    stories = [story_of(history, job_id=job).triggered().queued() for _ in range(5)]
    for number, story in enumerate(stories):
        story.started()
        if number % 2:
            story.failed()
    await history.system.publish(*(event for story in stories for event in story.everything))
    for number, story in enumerate(stories):
        await shown(operator, story, "failed" if number % 2 else "running")
    params: dict[str, str | int] = {"job": str(job), "limit": 2, "sort": "created"}
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await operator.get("/api/v1/runs", params=params | ({"cursor": cursor} if cursor else {}))).json()
        seen += [run["id"] for run in page["items"]]
        cursor = page["next"]
    assert len(seen) == len(set(seen)) == 5
    failed = (await operator.get("/api/v1/runs", params={"job": str(job), "state": "failed"})).json()["items"]
    assert {run["state"] for run in failed} == {"failed"}
    assert len(failed) == 2
    for sort in ("started", "-duration", "title", "state", "-rows", "files", "type", "source", "ended"):
        first = (await operator.get("/api/v1/runs", params={"job": str(job), "sort": sort, "limit": 3})).json()
        rest = (
            await operator.get("/api/v1/runs", params={"job": str(job), "sort": sort, "cursor": first["next"]})
        ).json()
        assert len({run["id"] for run in first["items"] + rest["items"]}) == 5


@pytest.mark.parametrize("params", [{"sort": "nothing"}, {"cursor": "@@@"}, {"cursor": "WyIxIl0"}, {"limit": 0}])
async def test_I2_a_bad_question_is_answered_in_words(operator: httpx.AsyncClient, params: dict[str, str]) -> None:
    answer = await operator.get("/api/v1/runs", params=params)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["errors"]


async def test_R6_cancelling_asks_the_exporters_and_ended_runs_cannot_be(
    history: History, operator: httpx.AsyncClient, done: RunScenario
) -> None:
    story = story_of(history).triggered().queued().started()
    await history.system.publish(*story.everything)
    await shown(operator, story, "running")
    async with Listener(history.system.kafka, "sluice.commands") as commands:
        answer = await operator.post(f"/api/v1/runs/{story.run_id}/cancel")
        command = await commands.find(lambda event: getattr(event, "run_id", None) == story.run_id)
    assert answer.status_code == 202
    assert isinstance(command, events.CancelRun)
    assert command.job_id == story.job_id
    assert (await operator.post(f"/api/v1/runs/{done.run_id}/cancel")).status_code == 409


async def test_A1_A3_a_file_is_listed_and_downloaded_whole_and_in_ranges(
    operator: httpx.AsyncClient, done: RunScenario
) -> None:
    file = await artifact_of(operator, done)
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
    assert (await artifact_of(operator, done))["downloads"] == 2


async def test_P5_the_manifest_is_served(operator: httpx.AsyncClient, done: RunScenario) -> None:
    answer = await operator.get(f"/api/v1/runs/{done.run_id}/manifest")
    assert answer.json() == {"files": []}


async def test_A2_a_file_that_is_gone_says_so(history: History, operator: httpx.AsyncClient) -> None:
    story = story_of(history).triggered().queued().started().succeeded().expired("deleted")
    await history.system.publish(*story.everything)
    await shown(operator, story, "succeeded")
    file = await artifact_of(operator, story)
    assert (file["state"], file["days_remaining"]) == ("deleted", 0)
    assert (await operator.get(f"/api/v1/artifacts/{file['id']}/content")).status_code == 410


async def test_H2_a_run_taken_out_of_the_log_is_not_shown(history: History, operator: httpx.AsyncClient) -> None:
    story = story_of(history).triggered().queued().started().failed()
    await history.system.publish(*story.everything)
    await shown(operator, story, "failed")
    removed = replace(story, triggers=[], runs=[]).removed()
    await history.system.publish(*removed.everything)

    async def gone() -> bool:
        return await state_of(operator, story.run_id) is None

    await eventually(gone)


async def test_U2_a_viewer_sees_and_does_not_download_or_cancel(history: History, done: RunScenario) -> None:
    viewer = await history.client("viewer")
    file = await artifact_of(viewer, done)
    assert (await viewer.get(f"/api/v1/artifacts/{file['id']}/content")).status_code == 403
    assert (await viewer.post(f"/api/v1/runs/{done.run_id}/cancel")).status_code == 403
    nobody = await history.client()
    assert (await nobody.get("/api/v1/runs")).status_code == 403


async def test_U1_nothing_answers_without_somebody(history: History) -> None:
    async with httpx.AsyncClient(base_url=history.api.url) as stranger:
        for url in ("/api/v1/runs", "/api/v1/artifacts", "/api/v1/events", f"/api/v1/runs/{uuid4()}"):
            assert (await stranger.get(url)).status_code == 401


async def test_U3_a_foreign_id_and_an_unknown_one_give_the_same_answer_at_every_door(
    history: History, operator: httpx.AsyncClient, done: RunScenario
) -> None:
    foreign = await history.client("admin", tenant_id=uuid4())
    file = await artifact_of(operator, done)
    documented = (await operator.get("/api/v1/openapi.json")).json()["paths"]
    doors = [
        (method, path)
        for path, operations in documented.items()
        for method in operations
        if "{run_id}" in path or "{artifact_id}" in path
    ]
    assert len(doors) >= 5
    for method, path in doors:
        answers = []
        for run_id, artifact_id in ((done.run_id, file["id"]), (uuid4(), uuid4())):
            url = path.replace("{run_id}", str(run_id)).replace("{artifact_id}", str(artifact_id))
            answer = await foreign.request(method, url)
            body = {name: value for name, value in answer.json().items() if name != "instance"}
            answers.append((answer.status_code, json.dumps(body)))
        assert answers[0] == answers[1], path
        assert answers[0][0] == 404, path
    assert (await foreign.get("/api/v1/runs", params={"job": str(done.job_id)})).json()["items"] == []
    assert (await foreign.get("/api/v1/artifacts", params={"run": str(done.run_id)})).json()["items"] == []
