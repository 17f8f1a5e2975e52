"""A cheap client: raw HTTP/1.1 over persistent connections, one request at a time on each."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

Request = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Measured:
    """The result of a load: requests per second, and the 99th percentile of the latency in seconds."""

    per_second: float
    p99: float


def request(method: str, path: str, token: str = "", body: bytes = b"", headers: str = "") -> bytes:
    """Return the bytes of a request."""
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\nHost: bench\r\n{bearer}{length}{headers}\r\n".encode() + body


async def ask(port: int, wire: bytes) -> bytes:
    """Send a request and return the body of its response. Raises RuntimeError unless it succeeds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(wire)
    body = await _answer(reader)
    writer.close()
    return body


async def load(port: int, make: Request, *, connections: int, seconds: float) -> Measured:
    """Send requests for some seconds, and measure. Raises RuntimeError if one fails."""
    latencies: list[float] = []
    until = time.perf_counter() + seconds
    began = time.perf_counter()
    await asyncio.gather(*(_connection(port, make, until, latencies) for _ in range(connections)))
    spent = time.perf_counter() - began
    latencies.sort()
    return Measured(len(latencies) / spent, latencies[int(len(latencies) * 0.99)])


async def _connection(port: int, make: Request, until: float, latencies: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while (now := time.perf_counter()) < until:
        writer.write(make())
        await _answer(reader)
        latencies.append(time.perf_counter() - now)
    writer.close()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    status = head.split(b" ", 2)[1]
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
    body = await reader.readexactly(length)
    if not status.startswith(b"2"):
        raise RuntimeError(f"{head.decode()}{body.decode()}")
    return body
