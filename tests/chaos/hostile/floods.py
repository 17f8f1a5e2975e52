"""Floods: half requests and live streams of one identity, while another tenant works."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import httpx

from tests.chaos.hostile.report import Report
from tests.chaos.hostile.walks import Walk

_PATIENCE = 30.0
"""Seconds within which the other tenant must be answered: far more than it takes, since the machine may be busy."""
_PATHS = ("/readyz", "/api/v1/jobs", "/api/v1/runs", "/api/v1/artifacts")
_BATCH = 200
_HALVES = (
    b"GET /api/v1/jobs HTTP/1.1\r\nHost: sluice\r\n",
    b"POST /api/v1/jobs HTTP/1.1\r\nHost: sluice\r\nContent-Length: 100000\r\nContent-Type: application/json\r\n\r\n{",
    b"POST /login HTTP/1.1\r\nHost: sluice\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nna",
    b"G",
)


async def flood_with_half_requests(walk: Walk, report: Report, count: int) -> None:
    """Send `count` half requests and keep their connections; another tenant's requests are answered meanwhile."""
    parts = urlsplit(walk.url)
    async with AsyncExitStack() as stack:
        for number in range(count):
            try:
                _, writer = await asyncio.wait_for(asyncio.open_connection(parts.hostname, parts.port), _PATIENCE)
            except (OSError, TimeoutError) as error:
                report.note("stopped", f"half request {number}: no connection ({type(error).__name__})")
                break
            stack.callback(writer.transport.abort)
            writer.write(_HALVES[number % len(_HALVES)])
            report.requests += 1
            if number % _BATCH == _BATCH - 1:
                await _check_others(walk, report, f"{number + 1} half requests")


async def flood_with_streams(walk: Walk, report: Report, count: int) -> None:
    """Open `count` live streams of one identity; the other tenant's requests and stream are served meanwhile."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            httpx.AsyncClient(
                base_url=walk.url,
                headers={"Authorization": f"Bearer {walk.stranger}"},
                timeout=_PATIENCE,
                limits=httpx.Limits(max_connections=None),
            )
        )
        for number in range(count):
            request = client.build_request("GET", "/api/v1/events")
            try:
                answer = await client.send(request, stream=True)
            except httpx.TransportError:
                continue  # a refused stream is the flood's loss, not the others'
            stack.push_async_callback(answer.aclose)
            report.count("GET /api/v1/events", answer)
            if answer.status_code not in {200, 429, 503}:
                report.note("undocumented", f"stream {number}: {answer.status_code}")
            if number % _BATCH == _BATCH - 1:
                await _check_others(walk, report, f"{number + 1} streams")
        async with _open_stream(walk.url, walk.owner) as status:
            if status != 200:
                report.note("stopped", f"the other tenant's stream is answered with {status}")


async def _check_others(walk: Walk, report: Report, when: str) -> None:
    async with httpx.AsyncClient(
        base_url=walk.url, headers={"Authorization": f"Bearer {walk.owner}"}, timeout=_PATIENCE
    ) as client:
        for path in _PATHS:
            try:
                answer = await client.get(path)
            except httpx.TransportError as error:
                report.note("stopped", f"{path} with {when}: {type(error).__name__}")
                continue
            report.count(path, answer)
            if answer.status_code != 200:
                report.note("stopped", f"{path} with {when}: {answer.status_code} {answer.text[:200]}")


@asynccontextmanager
async def _open_stream(url: str, token: str) -> AsyncIterator[int]:
    async with (
        httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=_PATIENCE) as client,
        client.stream("GET", "/api/v1/events") as answer,
    ):
        yield answer.status_code
