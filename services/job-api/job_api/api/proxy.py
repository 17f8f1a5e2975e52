"""Forwarding requests for runs, artifacts and live updates to history, so that clients need one address only.

Requests and responses are streamed both ways, unread.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any
from uuid import UUID

import httpx
from fastapi import Request
from starlette.background import BackgroundTask
from starlette.responses import Response, StreamingResponse

from shared.http.admission import take_place, take_place_for_address
from shared.http.identity import authenticate
from shared.http.live import CLOSED_MESSAGE
from shared.http.places import Place, Use
from shared.http.problems import Problem, ProblemType, not_found
from shared.http.routing import service_of
from shared.observe import get_logger

RUNS_PATH, ARTIFACTS_PATH, EVENTS_PATH = "/api/v1/runs", "/api/v1/artifacts", "/api/v1/events"
_LINKS_PATH, _ARCHIVE_PATH = f"{ARTIFACTS_PATH}/links/", f"{ARTIFACTS_PATH}/archive"
DELIVERIES_PATH = "/api/v1/deliveries"
PATHS = (RUNS_PATH, ARTIFACTS_PATH, EVENTS_PATH, DELIVERIES_PATH)
"""The paths below which history answers."""
# RFC 9110, 7.6.1: these headers are about one connection, not about the message.
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
# The server at hand sets its own.
_OF_SERVER = frozenset({b"date", b"server"})
ANSWER_SECONDS = 15.0
"""How long history may take to begin its response. Once begun, a response may take any time."""
STALL_SECONDS = 45.0
"""How long a response may stop; live updates have a heartbeat every 15 s."""
TIMEOUT = httpx.Timeout(connect=3.0, read=STALL_SECONDS, write=ANSWER_SECONDS, pool=3.0)
LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=50)
STREAM_LIMITS = httpx.Limits(max_connections=2_000, max_keepalive_connections=10)
_CREDENTIALS = ("authorization", "cookie")
_SETTINGS_SECONDS = 5.0
log = get_logger(__name__)


class HistoryProxy:
    """Sends callers' requests to history, with their own credentials; without a client, history is unavailable.

    What may take long (live streams, downloads, archives) has a client of its own, so that requests always have room.
    """

    def __init__(self, client: httpx.AsyncClient | None, streams: httpx.AsyncClient | None) -> None:
        self._client = client
        self._streams = streams

    async def forward(self, request: Request) -> Response:
        """Return history's response to a request of a known sender; a link needs none.

        Raises Problem 401 to strangers, 429 where the sender has too much under way, and 503 if history is unavailable.
        """
        use = _find_use(request)
        place = await _take_place(request, use)
        client = self._require_client() if use is Use.REQUEST else self._require_streams()
        target = client.base_url.copy_with(raw_path=_get_target(request))
        outgoing = client.build_request(
            request.method,
            target,
            headers=_drop_hop_by_hop(request.headers.raw),
            content=_get_body(request),
            timeout=TIMEOUT,
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await client.send(outgoing, stream=True)
        except (httpx.HTTPError, TimeoutError) as error:
            log.warning("history unavailable", error=type(error).__name__)
            raise _history_unavailable("it does not respond") from error
        content = _follow(answer, place.ended) if use is Use.STREAM else _stream(answer)
        response = StreamingResponse(content, answer.status_code, background=BackgroundTask(answer.aclose))
        headers = [(name.lower(), value) for name, value in _drop_hop_by_hop(answer.headers.raw)]
        response.raw_headers = [each for each in headers if each[0] not in _OF_SERVER]
        return response

    async def fetch_run_settings(self, run_id: UUID, request: Request) -> Mapping[str, Any]:
        """Return the frozen settings of a run, with the caller's credentials. Raises Problem 404 or 503."""
        headers = {name: request.headers[name] for name in _CREDENTIALS if name in request.headers}
        try:
            async with asyncio.timeout(_SETTINGS_SECONDS):
                answer = await self._require_client().get(f"{RUNS_PATH}/{run_id}", headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            raise _history_unavailable("it does not respond") from error
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise not_found("run")
        settings = answer.json().get("settings") if answer.is_success else None
        if not isinstance(settings, dict):
            raise _history_unavailable(f"it responded with status {answer.status_code}")
        return settings

    def _require_client(self) -> httpx.AsyncClient:
        if self._client is None:
            raise _history_unavailable("no history service is configured")
        return self._client

    def _require_streams(self) -> httpx.AsyncClient:
        if self._streams is None:
            raise _history_unavailable("no history service is configured")
        return self._streams


History = Annotated[HistoryProxy, service_of(HistoryProxy)]


def _find_use(request: Request) -> Use:
    """Return what a request that is passed on takes a place for."""
    path = request.url.path
    if request.method != "GET":
        return Use.REQUEST
    if path.startswith(EVENTS_PATH):
        return Use.STREAM
    if path == _ARCHIVE_PATH:
        return Use.ARCHIVE
    is_download = path.startswith(_LINKS_PATH) or (path.startswith(ARTIFACTS_PATH) and path.endswith("/content"))
    return Use.DOWNLOAD if is_download else Use.REQUEST


async def _take_place(request: Request, use: Use) -> Place:
    if request.url.path.startswith(_LINKS_PATH):
        return take_place_for_address(request, use)
    return take_place(request, await authenticate(request), use)


async def _follow(answer: httpx.Response, ended: asyncio.Event) -> AsyncIterator[bytes]:
    """Yield a live stream until it ends, or until a newer stream of the same caller takes its place."""
    chunks, ending, last = _stream(answer), asyncio.create_task(ended.wait()), b"\n\n"
    try:
        while True:
            following = asyncio.ensure_future(anext(chunks, None))
            try:
                await asyncio.wait({following, ending}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                following.cancel()
            [chunk] = await asyncio.gather(following, return_exceptions=True)
            if isinstance(chunk, Exception):
                raise chunk
            if not isinstance(chunk, bytes):
                break
            last = chunk
            yield chunk
    finally:
        ending.cancel()
    # Half an event is never followed by another.
    if ended.is_set() and last.endswith(b"\n\n"):
        yield CLOSED_MESSAGE


async def _stream(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Yield the response's body. Live updates that are cut off end cleanly, as their clients reconnect."""
    try:
        async for chunk in answer.aiter_raw():
            yield chunk
    except httpx.HTTPError as error:
        log.warning("history response cut off", error=type(error).__name__)
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            raise


def _get_target(request: Request) -> bytes:
    path: bytes = request.scope.get("raw_path") or request.url.path.encode()
    query: bytes = request.scope["query_string"]
    return path.partition(b"?")[0] + (b"?" + query if query else b"")


def _get_body(request: Request) -> AsyncIterator[bytes] | None:
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    return request.stream() if has_body else None


def _drop_hop_by_hop(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    named = {
        name.strip().lower()
        for header, value in headers
        if header.lower() == b"connection"
        for name in value.decode("latin-1").split(",")
    }
    return [(name, value) for name, value in headers if name.decode("latin-1").lower() not in _HOP_BY_HOP | named]


def _history_unavailable(reason: str) -> Problem:
    detail = f"Run history is temporarily unavailable ({reason}); jobs still work. Retry shortly."
    return Problem(ProblemType.HISTORY_UNAVAILABLE, detail, headers={"Retry-After": "5"})
