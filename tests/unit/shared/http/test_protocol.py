"""Connections: half a request, an idle connection or thousands of them cost nobody else anything."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from shared.http.app import handle_disconnect
from shared.http.protocol import HEAD_BYTES_MAX, ConnectionLimits, RequestBound, make_protocol
from shared.observe import render_metrics
from tests.support.wait import eventually

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
PATIENT = ConnectionLimits()
HASTY = ConnectionLimits(head_seconds=0.2, body_seconds=0.2, idle_seconds=0.2, unread_seconds=0.2)
READYZ_ONCE = b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
READYZ = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"


async def count_body(request: Request) -> Response:
    return JSONResponse(len(await request.body()))


async def wait_for_ever(_: Request) -> Response:
    await asyncio.Event().wait()
    raise AssertionError


async def flood(_: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield bytes(1 << 20)
            await pause(0)

    return StreamingResponse(chunks())


async def ready(_: Request) -> Response:
    return JSONResponse("ready")


@asynccontextmanager
async def serve(limits: ConnectionLimits) -> AsyncIterator[tuple[uvicorn.Server, int]]:
    """Serve a small application within limits, as every process of Sluice does."""
    app = Starlette(
        routes=[
            Route("/readyz", ready),
            Route("/count", count_body, methods=["POST"]),
            Route("/wait", wait_for_ever),
            Route("/flood", flood),
        ],
        exception_handlers={ClientDisconnect: handle_disconnect},
    )
    config = uvicorn.Config(
        RequestBound(app, limits.requests),
        http=make_protocol(limits),
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        port=0,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=int(limits.idle_seconds),
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    try:
        yield server, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def send(port: int, data: bytes) -> Streams:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    return reader, writer


async def read_all(port: int, data: bytes) -> bytes:
    """Send some bytes, and return what is answered until the connection is closed."""
    reader, writer = await send(port, data)
    answer = await reader.read()
    writer.close()
    return answer


HALF_REQUESTS = {
    "half a request line": b"GET /rea",
    "half the headers": b"GET /readyz HTTP/1.1\r\nHost: x\r\nA: b",
    "no body": b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
    "half a body": b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345",
    "half a chunk": b"POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n12",
}


@pytest.mark.parametrize("data", HALF_REQUESTS.values(), ids=HALF_REQUESTS)
async def test_half_a_request_is_answered_408_and_closed(data: bytes) -> None:
    async with serve(HASTY) as (_, port):
        answer = await read_all(port, data)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    for header in (b"Cache-Control: no-store", b"X-Content-Type-Options: nosniff", b"Content-Security-Policy: "):
        assert header in head
    assert b"/problems/timed-out" in body


async def test_a_connection_without_a_request_is_closed_without_a_word() -> None:
    async with serve(HASTY) as (_, port):
        assert await read_all(port, b"") == b""
        answer = await read_all(port, READYZ)
    assert answer.count(b"HTTP/1.1") == 1, "so it is after a request"


async def test_a_body_that_keeps_arriving_is_read_however_long_it_takes() -> None:
    limits = ConnectionLimits(body_seconds=0.3, body_rate=100)
    async with serve(limits) as (_, port):
        reader, writer = await send(port, b"POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 200\r\n\r\n")
        began = time.monotonic()
        for _ in range(20):
            writer.write(b"x" * 10)
            await pause(0.05)
        answer = await reader.read(4096)
        writer.close()
    assert time.monotonic() - began > limits.body_seconds
    assert answer.endswith(b"200")


async def test_a_client_that_reads_nothing_is_dropped() -> None:
    async with serve(HASTY) as (server, port):
        _, writer = await send(port, b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        await eventually(lambda: server.server_state.connections)
        await eventually(lambda: not server.server_state.connections)
        writer.close()


async def test_any_number_of_half_requests_leaves_readiness_answering() -> None:
    limits = ConnectionLimits(connections=50)
    half = list(HALF_REQUESTS.values())
    async with serve(limits) as (server, port):
        held = []
        for number in range(500):
            held.append(await send(port, half[number % len(half)]))
            if number % 50 == 0:
                assert (await read_all(port, READYZ_ONCE))[9:12] == b"200"
        assert len(server.server_state.connections) <= limits.connections + 1
        for _, writer in held:
            writer.close()
        await eventually(lambda: not server.server_state.connections)


def read_refusals(reason: str) -> float:
    (value,) = re.findall(rf'^sluice_http_refused_total{{reason="{reason}"}} (.+)$', render_metrics()[0].decode(), re.M)
    return float(value)


async def test_too_many_requests_at_the_same_time_are_answered_503_and_readiness_is_not() -> None:
    busy = read_refusals("busy")
    limits = ConnectionLimits(connections=50)
    async with serve(limits) as (server, port):
        held = [await send(port, b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(limits.requests)]
        await eventually(lambda: len(server.server_state.tasks) >= limits.requests)
        refused = await read_all(port, b"GET /wait HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert refused.startswith(b"HTTP/1.1 503")
        assert read_refusals("busy") == busy + 1
        assert b"retry-after: 5" in refused
        assert (await read_all(port, READYZ_ONCE))[9:12] == b"200"
        for _, writer in held:
            writer.close()
        await eventually(lambda: not server.server_state.connections)


@pytest.mark.parametrize(
    ("data", "status", "name"),
    [
        (b"NONSENSE\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\n\r\n", 400, "malformed"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 9x\r\n\r\n", 400, "malformed"),
        (b"GET /" + b"a" * 80_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "headers-too-large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 80_000 + b"\r\n\r\n", 431, "headers-too-large"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nCookie: " + b"a" * 300_000, 431, "headers-too-large"),
    ],
)
async def test_what_is_no_request_is_answered_with_a_problem_and_the_security_headers(
    data: bytes, status: int, name: str
) -> None:
    async with serve(PATIENT) as (_, port):
        answer = await read_all(port, data)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Security-Policy: " in answer
    assert b"nosniff" in answer
    assert f"/problems/{name}".encode() in answer
    assert b"server:" not in answer.lower()


async def pause(seconds: float) -> None:
    """Let so much time pass: the pace at which a slow client sends is what is tested."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    loop.call_later(seconds, future.set_result, None)
    await future
