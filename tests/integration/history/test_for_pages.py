"""One or two requests return what a page shows: details with the course of a run, files as sets, counts for filters."""

from uuid import UUID, uuid4

import httpx
import pytest

from history.views.facets import count_facets
from tests.integration.history.conftest import History
from tests.integration.history.test_history import new_scenario, wait_for_state
from tests.support.wait import eventually
from tests.unit.history.scenarios import RunScenario


async def start_followed_run(history: History, client: httpx.AsyncClient, job_id: UUID | None = None) -> RunScenario:
    """Return a run that is half done and whose estimates have been shown and stored."""
    scenario = new_scenario(history, job_id=job_id or uuid4()).triggered().queued().started()
    for done in range(10, 60, 10):
        scenario.progressed(done)
    await history.system.publish(*scenario.everything)

    async def estimated() -> bool:
        run = (await client.get(f"/api/v1/runs/{scenario.run_id}")).json()
        return bool(run.get("estimates")) and len(run["throughput"]) == 5

    await eventually(estimated)
    return scenario


async def test_H2_H5_details_have_the_course_of_a_run_and_its_estimates_compared_with_the_actual_end(
    history: History, operator: httpx.AsyncClient
) -> None:
    scenario = await start_followed_run(history, operator)
    running = (await operator.get(f"/api/v1/runs/{scenario.run_id}")).json()
    assert running["state"] == "running"
    assert [each["rows"] for each in running["throughput"]] == [10, 20, 30, 40, 50]
    assert {each["rows_per_second"] for each in running["throughput"][1:]} == {10.0}
    assert {each["error_seconds"] for each in running["estimates"]} == {None}
    scenario.succeeded(rows=100)
    await history.system.publish(*scenario.runs)
    await wait_for_state(operator, scenario, "succeeded")

    async def scored() -> bool:
        return (await operator.get(f"/api/v1/runs/{scenario.run_id}")).json()["estimate_error"] is not None

    await eventually(scored)
    ended = (await operator.get(f"/api/v1/runs/{scenario.run_id}")).json()
    assert [each["rows"] for each in ended["throughput"]] == [10, 20, 30, 40, 50]
    assert all(each["within_band"] in {True, False} for each in ended["estimates"])
    assert ended["settings"]["title"] == "Nightly export"
    assert ended["settings"]["split_size"] is None
    assert ended["job_deleted"] is False
    assert [(each["kind"], each["files"], each["available"]) for each in ended["sets"]] == [("interaction", 1, 1)]


async def test_H5_the_scores_of_a_job_s_estimates_can_be_read(history: History, operator: httpx.AsyncClient) -> None:
    job_id = uuid4()
    for _ in range(2):
        scenario = await start_followed_run(history, operator, job_id)
        await history.system.publish(*scenario.succeeded(rows=100).runs)

    async def scored() -> bool:
        response = await operator.get("/api/v1/runs/scores", params={"job_id": str(job_id)})
        return len(response.json()["items"]) == 2

    await eventually(scored)
    scores = (await operator.get("/api/v1/runs/scores", params={"job_id": str(job_id)})).json()
    each = [item["error_ratio"] for item in scores["items"]]
    assert scores["error_ratio"] == pytest.approx(sum(each) / 2)
    assert all(0 <= item["coverage"] <= 1 and item["estimates"] >= 1 for item in scores["items"])
    foreign = await history.client("viewer", tenant_id=uuid4())
    theirs = await foreign.get("/api/v1/runs/scores", params={"job_id": str(job_id)})
    assert theirs.json() == {"items": [], "error_ratio": None, "coverage": None}


async def test_H2_a_failed_run_keeps_its_course_and_has_no_score(history: History, operator: httpx.AsyncClient) -> None:
    scenario = await start_followed_run(history, operator)
    scenario.failed()
    await history.system.publish(*scenario.runs)
    run = await wait_for_state(operator, scenario, "failed")
    assert run["throughput"]
    assert run["estimate_error"] is None
    scores = (await operator.get("/api/v1/runs/scores", params={"job_id": str(scenario.job_id)})).json()
    assert scores == {"items": [], "error_ratio": None, "coverage": None}


async def test_A1_a_file_has_the_size_of_its_set_and_how_many_of_it_are_available(
    history: History, operator: httpx.AsyncClient
) -> None:
    scenario = new_scenario(history).triggered().queued().started().succeeded(3)
    await history.system.publish(*scenario.everything)
    await wait_for_state(operator, scenario, "succeeded")
    listed = (await operator.get("/api/v1/artifacts", params={"run_id": str(scenario.run_id)})).json()["items"]
    assert {(file["set_files"], file["set_available"]) for file in listed} == {(3, 3)}
    await operator.delete("/api/v1/artifacts", params={"id": listed[0]["id"]})
    run = (await operator.get(f"/api/v1/runs/{scenario.run_id}")).json()
    assert [(each["files"], each["available"], each["size"]) for each in run["sets"]] == [(3, 2, 9000)]
    counts = (await operator.get("/api/v1/artifacts/counts", params={"run_id": str(scenario.run_id)})).json()
    assert counts == {"state": {"available": 2, "deleted": 1}, "type": {"interaction": 3}}


async def test_H1_each_facet_is_counted_under_the_other_filters(history: History, operator: httpx.AsyncClient) -> None:
    job_id = uuid4()
    scenarios = [new_scenario(history, job_id=job_id).triggered().queued().started() for _ in range(3)]
    scenarios[0].failed()
    scenarios[1].succeeded()
    scenarios[2].succeeded()
    await history.system.publish(*(event for scenario in scenarios for event in scenario.everything))
    for scenario, state in zip(scenarios, ("failed", "succeeded", "succeeded"), strict=True):
        await wait_for_state(operator, scenario, state)
    counts = (await operator.get("/api/v1/runs/counts", params={"job_id": str(job_id), "state": "failed"})).json()
    assert counts["state"] == {"failed": 1, "succeeded": 2}
    assert counts["type"] == {"interaction": 1}
    listed = {"job_id": str(job_id), "has_files": "true", "duration_from": "0.5"}
    assert len((await operator.get("/api/v1/runs", params=listed)).json()["items"]) == 2
    listed["duration_from"] = "1000"
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
    assert count_facets(rows, chosen) == expected  # type: ignore[arg-type]
