"""Requests for runs, artifacts and live updates are forwarded to history unchanged: headers, ranges and streams."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from job_api.api import proxy
from job_api.app import create_web_app, open_history_clients
from shared.http.bodies import BODY_MAX
from shared.lifecycle import Health
from tests.integration.job_api.world import Tenant, World
from tests.support.wait import eventually


class Elsewhere:
    """A history that echoes each request."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def echo(self, request: Request) -> Response:
        body = {
            "method": request.method,
            "target": request.scope["raw_path"].decode() + "?" + request.scope["query_string"].decode(),
            "headers": dict(request.headers.items()),
            "body": (await request.body()).decode(),
        }
        return JSONResponse(body, 206, {"Content-Range": "bytes 0-1/2", "Connection": "x-private", "X-Private": "1"})

    async def events(self, _: Request) -> Response:
        async def stream_updates() -> AsyncIterator[bytes]:
            try:
                yield b"id: 1\ndata: first\n\n"
                await asyncio.Event().wait()
            finally:
                self.gone.set()

        return StreamingResponse(stream_updates(), media_type="text/event-stream")

    async def silent(self, request: Request) -> Response:
        async def stream_updates() -> AsyncIterator[bytes]:
            yield b"id: 1\n"
            await asyncio.Event().wait()

        return StreamingResponse(stream_updates(), media_type=request.query_params["type"])

    async def broken(self, request: Request) -> Response:
        async def stream_updates() -> AsyncIterator[bytes]:
            yield b"id: 1\n"
            raise ConnectionError("the process behind this was killed")

        return StreamingResponse(stream_updates(), media_type=request.query_params["type"])


async def serving(app: ASGIApp) -> tuple[uvicorn.Server, "asyncio.Task[None]", str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    return server, task, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


@pytest.fixture
async def elsewhere(world: World, tenant: Tenant) -> AsyncIterator[tuple[Elsewhere, httpx.AsyncClient]]:
    upstream = Elsewhere()
    methods = ["GET", "POST", "DELETE"]
    routes = [
        Route("/api/v1/events", upstream.events),
        Route("/api/v1/events/broken", upstream.broken),
        Route("/api/v1/events/silent", upstream.silent),
        Route("/api/v1/runs", upstream.echo, methods=methods),
        Route("/api/v1/{path:path}", upstream.echo, methods=methods),
    ]
    upper, upper_task, url = await serving(Starlette(routes=routes))
    async with open_history_clients(url) as history:
        app = create_web_app(world.pools, clock=world.clock, health=Health(), history=history)
        lower, lower_task, base = await serving(app)
        async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {tenant.token}"}) as client:
            yield upstream, client
        # Last started, first stopped: each server restores the signal handlers that it found.
        for server, task in ((lower, lower_task), (upper, upper_task)):
            server.should_exit = True
            await task


async def test_a_request_and_its_response_are_forwarded(elsewhere: tuple[Elsewhere, httpx.AsyncClient]) -> None:
    headers = {
        "Range": "bytes=0-1",
        "If-None-Match": '"1"',
        "Connection": "x-hop",
        "X-Hop": "1",
    }
    answer = await elsewhere[1].request("GET", "/api/v1/artifacts/a%2Fb?x=1&y=%20", headers=headers)
    assert (answer.status_code, answer.headers["content-range"]) == (206, "bytes 0-1/2")
    assert "x-private" not in answer.headers
    seen = answer.json()
    assert (seen["method"], seen["target"]) == ("GET", "/api/v1/artifacts/a%2Fb?x=1&y=%20")
    assert {seen["headers"][name] for name in ("authorization", "range", "if-none-match")} == {
        elsewhere[1].headers["authorization"],
        "bytes=0-1",
        '"1"',
    }
    assert seen["headers"]["host"] == elsewhere[1].base_url.netloc.decode()
    assert "x-hop" not in seen["headers"]


async def test_bodies_are_forwarded(elsewhere: tuple[Elsewhere, httpx.AsyncClient]) -> None:
    answer = await elsewhere[1].post("/api/v1/runs", content=b"text", headers={"X-Own": "y"})
    assert (answer.json()["body"], answer.json()["headers"]["x-own"]) == ("text", "y")


async def test_H6_live_updates_are_forwarded_while_the_stream_is_open_and_so_is_its_end(
    elsewhere: tuple[Elsewhere, httpx.AsyncClient],
) -> None:
    upstream, client = elsewhere
    async with client.stream("GET", "/api/v1/events") as answer:
        lines = answer.aiter_lines()
        assert [await anext(lines), await anext(lines)] == ["id: 1", "data: first"]
        assert not upstream.gone.is_set()
    await eventually(upstream.gone.is_set, timeout=10)


async def test_H6_live_updates_that_are_cut_off_end_cleanly_and_a_download_does_not(
    elsewhere: tuple[Elsewhere, httpx.AsyncClient],
) -> None:
    """A browser reconnects to live updates by itself; half a file must never pass for a whole one."""
    live = await elsewhere[1].get("/api/v1/events/broken", params={"type": "text/event-stream"})
    assert live.text == "id: 1\n"
    with pytest.raises(httpx.RemoteProtocolError):
        await elsewhere[1].get("/api/v1/events/broken", params={"type": "application/zip"})


async def test_H6_live_updates_that_fall_silent_end_cleanly_and_a_download_does_not(
    elsewhere: tuple[Elsewhere, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """History that freezes within a response holds no connection for ever; what it sends in time is passed on."""
    monkeypatch.setattr(proxy, "TIMEOUT", httpx.Timeout(5.0, read=0.5))
    live = await elsewhere[1].get("/api/v1/events/silent", params={"type": "text/event-stream"})
    assert live.text == "id: 1\n"
    with pytest.raises(httpx.RemoteProtocolError):
        await elsewhere[1].get("/api/v1/events/silent", params={"type": "application/zip"})


async def test_U1_nothing_is_forwarded_for_a_stranger_but_the_request_for_a_link(
    elsewhere: tuple[Elsewhere, httpx.AsyncClient],
) -> None:
    stranger = {"Authorization": "Bearer x"}
    for method, path in (("GET", "/api/v1/runs"), ("POST", "/api/v1/artifacts/x/link"), ("GET", "/api/v1/events")):
        answer = await elsewhere[1].request(method, path, headers=stranger, content=bytes(BODY_MAX + 1))
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (401, "unauthenticated")
    assert (await elsewhere[1].get("/api/v1/artifacts/links/x", headers=stranger)).status_code == 206


async def test_a_body_that_is_too_large_is_not_forwarded(elsewhere: tuple[Elsewhere, httpx.AsyncClient]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield bytes(1 << 16)

    for content in (bytes(BODY_MAX + 1), chunks()):
        answer = await elsewhere[1].post("/api/v1/runs", content=content)
        assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (413, "too-large")


async def test_an_unavailable_history_is_a_problem(world: World, tenant: Tenant) -> None:
    async with open_history_clients("http://127.0.0.1:9") as history:
        app = create_web_app(world.pools, clock=world.clock, health=Health(), history=history)
        headers = {"Authorization": f"Bearer {tenant.token}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x", headers=headers) as client:
            for path in ("/api/v1/runs", "/api/v1/runs/1/cancel", "/api/v1/events"):
                answer = await client.get(path)
                assert answer.status_code == 503
                assert answer.json()["type"].endswith("/history-unavailable")
                assert answer.headers["retry-after"] == "5"
