"""Live changes over server-sent events."""

import json
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import httpx

from tests.integration.history.conftest import History
from tests.integration.history.test_history import shown, story_of
from tests.support.wait import eventually


async def changes(answer: httpx.Response) -> AsyncIterator[tuple[int, str, dict[str, object]]]:
    """Yield (id, event, data) of each server-sent event."""
    found: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if not line and "data" in found:
            yield int(found["id"]), found["event"], json.loads(found["data"])
            found = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = value


async def test_H6_changes_are_pushed_and_a_client_resumes_where_it_was_cut_off(
    history: History, operator: httpx.AsyncClient
) -> None:
    story = story_of(history).triggered().queued()
    async with operator.stream("GET", "/api/v1/events", params={"job": str(story.job_id)}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = changes(answer)
        await following(history)
        await history.system.publish(*story.everything)
        place, kind, run = await anext(lines)
        assert (kind, run["id"], run["state"]) == ("run", str(story.run_id), "queued")
    await history.system.publish(*story.started().failed().runs)
    await shown(operator, story, "failed")
    resumed = {"Last-Event-ID": str(place)}
    async with operator.stream("GET", "/api/v1/events", headers=resumed) as answer:
        async for version, _, run in changes(answer):
            assert version > place
            if run["id"] == str(story.run_id) and run["state"] == "failed":
                break


async def test_U3_live_changes_are_the_tenants_own(history: History, operator: httpx.AsyncClient) -> None:
    stranger, tenant_id = await history.client("viewer", tenant_id=(other := uuid4())), other
    theirs, ours = story_of(history).triggered(), story_of(history).triggered()
    ours.tenant_id = tenant_id
    own = story_of(history)
    own.tenant_id = tenant_id
    async with stranger.stream("GET", "/api/v1/events", headers={"Last-Event-ID": "0"}) as answer:
        lines = changes(answer)
        await history.system.publish(*theirs.everything)
        await shown(operator, theirs, "queued")
        await history.system.publish(*own.triggered().everything)
        seen: set[UUID] = {UUID(str((await anext(lines))[2]["id"]))}
    assert seen == {own.run_id}


async def following(history: History) -> None:
    async def counted() -> bool:
        return await history.api.metric("sluice_live_clients") >= 1

    await eventually(counted)
