"""What pages show comes in one or two calls: details with their course, files as sets, counts for filters."""

from uuid import UUID, uuid4

import httpx
import pytest

from history.views.documents import facets
from tests.integration.history.conftest import History
from tests.integration.history.test_history import shown, story_of
from tests.support.wait import eventually
from tests.unit.history.scenarios import RunScenario


async def followed(history: History, client: httpx.AsyncClient, job_id: UUID | None = None) -> RunScenario:
    """Return a run that is half done, of which estimates have been shown and stored."""
    story = story_of(history, job_id=job_id or uuid4()).triggered().queued().started()
    for done in range(10, 60, 10):
        story.progressed(done)
    await history.system.publish(*story.everything)

    async def estimated() -> bool:
        run = (await client.get(f"/api/v1/runs/{story.run_id}")).json()
        return bool(run.get("estimates")) and len(run["throughput"]) == 5

    await eventually(estimated)
    return story


async def test_H2_H5_details_tell_the_run_s_course_and_what_was_shown_of_its_end_against_what_came_true(
    history: History, operator: httpx.AsyncClient
) -> None:
    story = await followed(history, operator)
    running = (await operator.get(f"/api/v1/runs/{story.run_id}")).json()
    assert running["state"] == "running"
    assert [each["rows"] for each in running["throughput"]] == [10, 20, 30, 40, 50]
    assert {each["rows_per_second"] for each in running["throughput"][1:]} == {10.0}
    assert {each["error_seconds"] for each in running["estimates"]} == {None}
    story.succeeded(rows=100)
    await history.system.publish(*story.runs)
    await shown(operator, story, "succeeded")

    async def scored() -> bool:
        return (await operator.get(f"/api/v1/runs/{story.run_id}")).json()["estimate_error"] is not None

    await eventually(scored)
    ended = (await operator.get(f"/api/v1/runs/{story.run_id}")).json()
    assert [each["rows"] for each in ended["throughput"]] == [10, 20, 30, 40, 50]
    assert all(each["held"] in {True, False} for each in ended["estimates"])
    assert ended["settings"]["title"] == "Nightly export"
    assert ended["settings"]["split_size"] is None
    assert ended["job_deleted"] is False
    assert [(each["kind"], each["files"], each["available"]) for each in ended["sets"]] == [("interaction", 1, 1)]


async def test_H5_how_good_a_job_s_estimates_were_can_be_read(history: History, operator: httpx.AsyncClient) -> None:
    job_id = uuid4()
    for _ in range(2):
        story = await followed(history, operator, job_id)
        await history.system.publish(*story.succeeded(rows=100).runs)

    async def scored() -> bool:
        answer = await operator.get("/api/v1/runs/scores", params={"job": str(job_id)})
        return len(answer.json()["items"]) == 2

    await eventually(scored)
    scores = (await operator.get("/api/v1/runs/scores", params={"job": str(job_id)})).json()
    each = [item["error_ratio"] for item in scores["items"]]
    assert scores["error_ratio"] == pytest.approx(sum(each) / 2)
    assert all(0 <= item["coverage"] <= 1 and item["estimates"] >= 1 for item in scores["items"])
    foreign = await history.client("viewer", tenant_id=uuid4())
    theirs = await foreign.get("/api/v1/runs/scores", params={"job": str(job_id)})
    assert theirs.json() == {"items": [], "error_ratio": None, "coverage": None}


async def test_H2_a_failed_run_keeps_its_course_and_no_score(history: History, operator: httpx.AsyncClient) -> None:
    story = await followed(history, operator)
    story.failed()
    await history.system.publish(*story.runs)
    run = await shown(operator, story, "failed")
    assert run["throughput"]
    assert run["estimate_error"] is None
    scores = (await operator.get("/api/v1/runs/scores", params={"job": str(story.job_id)})).json()
    assert scores == {"items": [], "error_ratio": None, "coverage": None}


async def test_A1_a_file_says_of_how_many_it_is_one_and_how_many_are_left(
    history: History, operator: httpx.AsyncClient
) -> None:
    story = story_of(history).triggered().queued().started().succeeded(3)
    await history.system.publish(*story.everything)
    await shown(operator, story, "succeeded")
    listed = (await operator.get("/api/v1/artifacts", params={"run": str(story.run_id)})).json()["items"]
    assert {(file["set_files"], file["set_available"]) for file in listed} == {(3, 3)}
    await operator.delete("/api/v1/artifacts", params={"id": listed[0]["id"]})
    run = (await operator.get(f"/api/v1/runs/{story.run_id}")).json()
    assert [(each["files"], each["available"], each["size"]) for each in run["sets"]] == [(3, 2, 9000)]
    counts = (await operator.get("/api/v1/artifacts/counts", params={"run": str(story.run_id)})).json()
    assert counts == {"state": {"available": 2, "deleted": 1}, "type": {"interaction": 3}}


async def test_H1_counts_are_of_what_the_other_filters_leave(history: History, operator: httpx.AsyncClient) -> None:
    job_id = uuid4()
    stories = [story_of(history, job_id=job_id).triggered().queued().started() for _ in range(3)]
    stories[0].failed()
    stories[1].succeeded()
    stories[2].succeeded()
    await history.system.publish(*(event for story in stories for event in story.everything))
    for story, state in zip(stories, ("failed", "succeeded", "succeeded"), strict=True):
        await shown(operator, story, state)
    counts = (await operator.get("/api/v1/runs/counts", params={"job": str(job_id), "state": "failed"})).json()
    assert counts["state"] == {"failed": 1, "succeeded": 2}
    assert counts["type"] == {"interaction": 1}
    listed = {"job": str(job_id), "with_files": "true", "longer_than": "0.5"}
    assert len((await operator.get("/api/v1/runs", params=listed)).json()["items"]) == 2
    listed["longer_than"] = "1000"
    assert (await operator.get("/api/v1/runs", params=listed)).json()["items"] == []


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"state": None, "type": None}, {"state": {"a": 3, "b": 4}, "type": {"x": 5, "y": 2}}),
        ({"state": ["a"], "type": None}, {"state": {"a": 3, "b": 4}, "type": {"x": 1, "y": 2}}),
        ({"state": ["a"], "type": ["x"]}, {"state": {"a": 1, "b": 4}, "type": {"x": 1, "y": 2}}),
        ({"state": ["c"], "type": ["x"]}, {"state": {"a": 1, "b": 4}, "type": {}}),
    ],
)
def test_each_facet_is_counted_under_the_choices_of_the_others(
    chosen: dict[str, list[str] | None], expected: dict[str, dict[str, int]]
) -> None:
    rows = [
        {"state": "a", "type": "x", "amount": 1},
        {"state": "a", "type": "y", "amount": 2},
        {"state": "b", "type": "x", "amount": 4},
    ]
    assert facets(rows, chosen) == expected  # type: ignore[arg-type]
