"""Live updates over server-sent events."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import httpx

from shared.clock import SystemClock
from tests.integration.history.conftest import History
from tests.integration.history.test_history import new_scenario, wait_for_state
from tests.support.wait import eventually


async def read_changes(response: httpx.Response) -> AsyncIterator[tuple[int, str, dict[str, object]]]:
    """Yield (id, event, data) of each server-sent event."""
    found: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line and found.get("event") == "heartbeat":
            found = {}
        elif not line and "data" in found:
            yield int(found["id"]), found["event"], json.loads(found["data"])
            found = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            found[name] = value


async def test_H6_changes_are_pushed_and_a_client_resumes_where_it_was_cut_off(
    history: History, operator: httpx.AsyncClient
) -> None:
    scenario = new_scenario(history).triggered().queued()
    async with operator.stream("GET", "/api/v1/events", params={"job_id": str(scenario.job_id)}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = read_changes(response)
        await wait_for_subscriber(history)
        await history.system.publish(*scenario.everything)
        place, kind, run = await anext(lines)
        assert (kind, run["id"], run["state"]) == ("run", str(scenario.run_id), "queued")
    await history.system.publish(*scenario.started().failed().runs)
    await wait_for_state(operator, scenario, "failed")
    resumed = {"Last-Event-ID": str(place)}
    async with operator.stream("GET", "/api/v1/events", headers=resumed) as response:
        async for version, _, run in read_changes(response):
            assert version > place
            if run["id"] == str(scenario.run_id) and run["state"] == "failed":
                break


async def test_U3_live_changes_are_the_tenants_own(history: History, operator: httpx.AsyncClient) -> None:
    stranger, tenant_id = await history.client("viewer", tenant_id=(other := uuid4())), other
    theirs, ours = new_scenario(history).triggered(), new_scenario(history).triggered()
    ours.tenant_id = tenant_id
    own = new_scenario(history)
    own.tenant_id = tenant_id
    async with stranger.stream("GET", "/api/v1/events", headers={"Last-Event-ID": "0"}) as response:
        lines = read_changes(response)
        await history.system.publish(*theirs.everything)
        await wait_for_state(operator, theirs, "queued")
        await history.system.publish(*own.triggered().everything)
        seen: set[UUID] = {UUID(str((await anext(lines))[2]["id"]))}
    assert seen == {own.run_id}


async def read_to_end(response: httpx.Response) -> None:
    async for _ in response.aiter_lines():
        pass


async def test_U1_a_live_stream_ends_when_its_key_is_revoked(history: History) -> None:
    key = history.identity("viewer")
    client = await history.client_of(key)
    async with client.stream("GET", "/api/v1/events") as response:
        await wait_for_subscriber(history)
        await history.system.publish(replace(key, revoked=True, version=2))
        async with asyncio.timeout(60):  # it takes two seconds, and the machine may be busy
            await read_to_end(response)
    assert (await client.get("/api/v1/events")).status_code == 401


async def test_U1_a_live_stream_ends_with_its_session(history: History) -> None:
    session = replace(history.identity("viewer"), kind="session")
    client = await history.client_of(session)
    async with client.stream("GET", "/api/v1/events") as response:
        await wait_for_subscriber(history)
        expires_at = SystemClock().now() + timedelta(seconds=3)
        await history.system.publish(replace(session, expires_at=expires_at, version=2))
        async with asyncio.timeout(60):
            await read_to_end(response)
    assert SystemClock().now() >= expires_at


async def test_H6_an_idle_stream_sends_heartbeats(history: History, operator: httpx.AsyncClient) -> None:
    beats = 0
    async with (
        operator.stream("GET", "/api/v1/events", params={"job_id": str(uuid4())}) as response,
        asyncio.timeout(60),
    ):
        async for line in response.aiter_lines():
            beats += line == "event: heartbeat"
            if beats == 2:
                break


async def test_H6_a_client_that_does_not_read_is_dropped_and_others_are_served(history: History) -> None:
    tenant_id = uuid4()
    client = await history.client("viewer", tenant_id=tenant_id)
    await history.system.fetch(
        "history",
        """
        INSERT INTO run (run_id, job_id, tenant_id, version, state, created_at, title, message)
        SELECT gen_random_uuid(), gen_random_uuid(), $1, nextval('run_version'), 'failed', now(), 'Long',
            repeat('Nothing is read. ', 500)
        FROM generate_series(1, 4000)
        """,
        tenant_id,
    )
    before = await history.api.metric("sluice_live_clients_dropped_total")
    address = httpx.URL(history.api.url)
    silent = socket.create_connection((address.host, address.port or 0))
    silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    bearer = client.headers["authorization"]
    silent.sendall(
        f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\nLast-Event-ID: 0\r\n\r\n".encode()
    )

    async def dropped() -> bool:
        return await history.api.metric("sluice_live_clients_dropped_total") > before

    try:
        await eventually(dropped)
        assert (await client.get("/api/v1/runs", params={"limit": 1})).status_code == 200
    finally:
        silent.close()


async def wait_for_subscriber(history: History) -> None:
    async def counted() -> bool:
        return await history.api.metric("sluice_live_clients") >= 1

    await eventually(counted)
