"""Runs, artifacts and live updates are history's: requests for them are passed on, so that clients know one address.

In production the ingress does it. Everything streams, both ways; the answer is not looked into.
"""

from collections.abc import AsyncIterator

import httpx
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from shared.http.problems import Problem, ProblemType
from shared.observe import get_logger

PATHS = ("/api/v1/runs", "/api/v1/artifacts", "/api/v1/events")
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
# RFC 9110, 7.6.1: these are about one connection, not about the message.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# An answer may take as long as it likes once begun: downloads and live updates are long.
TIMEOUT = httpx.Timeout(connect=3.0, read=None, write=60.0, pool=5.0)
LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=50)
log = get_logger(__name__)


def proxy_routes(client: httpx.AsyncClient | None) -> list[Route]:
    """Return the routes that pass on to history; with no client they say that history is away."""

    async def passed_on(request: Request) -> Response:
        return await pass_on(client, request)

    return [Route(path + tail, passed_on, methods=METHODS) for path in PATHS for tail in ("", "/{rest:path}")]


async def pass_on(client: httpx.AsyncClient | None, request: Request) -> Response:
    """Pass a request to history and its answer back. Raises Problem 503 when history is away."""
    if client is None:
        raise _away("no history service is configured")
    target = client.base_url.copy_with(raw_path=_target(request))
    outgoing = client.build_request(
        request.method, target, headers=_kept(request.headers.raw), content=_body(request), timeout=TIMEOUT
    )
    try:
        answer = await client.send(outgoing, stream=True)
    except httpx.HTTPError as error:
        log.warning("history does not answer", error=type(error).__name__)
        raise _away("it does not answer") from error
    response = StreamingResponse(_passed(answer), answer.status_code, background=BackgroundTask(answer.aclose))
    response.raw_headers = [(name.lower(), value) for name, value in _kept(answer.headers.raw)]
    return response


async def _passed(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the answer's bytes; live updates that break off end in order, as whoever follows them comes again."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except httpx.HTTPError as error:
        log.warning("history broke off", error=type(error).__name__)
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            raise


def _target(request: Request) -> bytes:
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return path.partition(b"?")[0] + (b"?" + query if query else b"")


def _body(request: Request) -> AsyncIterator[bytes] | None:
    sent = "content-length" in request.headers or "transfer-encoding" in request.headers
    return request.stream() if sent else None


def _kept(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    named = {
        name.strip().lower()
        for header, value in headers
        if header.lower() == b"connection"
        for name in value.decode("latin-1").split(",")
    }
    return [(name, value) for name, value in headers if name.decode("latin-1").lower() not in _HOP_BY_HOP | named]


def _away(why: str) -> Problem:
    detail = f"The history of runs is away just now ({why}); jobs work. Try again shortly."
    return Problem(ProblemType.HISTORY_UNAVAILABLE, detail, headers={"Retry-After": "5"})
