"""A client of history's API that acts with the session of the request at hand; it stores nothing."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx
from cachetools import TTLCache
from starlette.requests import Request

from shared.clock import Clock
from shared.http.identity import SESSION_COOKIE, session_of
from shared.http.problems import TYPE_BASE, Problem, ProblemType
from shared.observe import get_logger

Query = Sequence[tuple[str, str]]
RETRY_AFTER_SECONDS = 5
_TIMEOUT = httpx.Timeout(8.0, connect=2.0)
_CALL_SECONDS = 15.0
"""How long a page waits for one answer of history, retries included."""
_LIVENESS_TIMEOUT_SECONDS = 0.5
_LIVENESS_CACHE_SECONDS = 5
# History learns of new sessions over Kafka, so a session may reach it here first.
_NEW_SESSION_RETRIES, _NEW_SESSION_PAUSE_SECONDS = 20, 0.25
log = get_logger(__name__)


class HistoryClient:
    """Calls history's API for pages.

    Each call raises Problem 503 `history-unavailable` when history does not answer as expected, and the problem that
    history answers with when it rejects the call.
    """

    def __init__(self, client: httpx.AsyncClient | None, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        # One entry: every page of jobs asks, and an answer holds for a few seconds.
        self._liveness: TTLCache[str, bool] = TTLCache(maxsize=1, ttl=_LIVENESS_CACHE_SECONDS)

    async def get(self, request: Request, path: str, query: Query = ()) -> dict[str, Any]:
        """Return the document at a path below /api/v1, with its instants parsed. Raises Problem."""
        return _parse_document(await self._call(request, ("GET", path), query))

    async def post(self, request: Request, path: str) -> dict[str, Any]:
        """Post to a path below /api/v1 without a body; return the answer, empty where there is none. Raises Problem."""
        answer = await self._call(request, ("POST", path))
        return _parse_document(answer) if answer.content else {}

    async def delete(self, request: Request, path: str, query: Query = ()) -> None:
        """Delete what is at a path below /api/v1. Raises Problem."""
        await self._call(request, ("DELETE", path), query)

    async def is_available(self) -> bool:
        """Return whether history answers; an answer is cached for 5 s."""
        known = self._liveness.get("history")
        if known is None:
            known = self._liveness["history"] = await self._is_live()
        return known

    async def _is_live(self) -> bool:
        if self._client is None:
            return False
        try:
            return (await self._client.get("/livez", timeout=_LIVENESS_TIMEOUT_SECONDS)).is_success
        except httpx.HTTPError:
            return False

    async def _call(self, request: Request, operation: tuple[str, str], query: Query = ()) -> httpx.Response:
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                answer = await self._send_until_known(request, operation, query)
        except TimeoutError as error:
            log.warning("history did not answer in time", path=operation[1])
            raise history_unavailable() from error
        if not answer.is_success:
            raise _to_problem(answer)
        return answer

    async def _send_until_known(self, request: Request, operation: tuple[str, str], query: Query) -> httpx.Response:
        answer = await self._send(request, operation, query)
        for _ in range(_NEW_SESSION_RETRIES):
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                break
            await self._clock.sleep(_NEW_SESSION_PAUSE_SECONDS)
            answer = await self._send(request, operation, query)
        return answer

    async def _send(self, request: Request, operation: tuple[str, str], query: Query) -> httpx.Response:
        if self._client is None:
            raise history_unavailable()
        method, path = operation
        headers = {
            "Cookie": f"{SESSION_COOKIE}={session_of(request)}",
            # The page has already checked where the request came from, and history requires this header.
            "Sec-Fetch-Site": "same-origin",
        }
        try:
            return await self._client.request(
                method, f"/api/v1{path}", params=list(query), headers=headers, timeout=_TIMEOUT
            )
        except httpx.HTTPError as error:
            log.warning("history unavailable", error=type(error).__name__)
            raise history_unavailable() from error


def history_unavailable() -> Problem:
    """Return the problem that history does not answer."""
    detail = "Run history is temporarily unavailable. Jobs continue to run, and nothing is lost."
    return Problem(ProblemType.HISTORY_UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


def is_unavailable(problem: Problem) -> bool:
    """Return whether a problem says that history does not answer."""
    return problem.type is ProblemType.HISTORY_UNAVAILABLE


def _parse_document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = _parse_instants(answer.json())
    except ValueError as error:
        raise history_unavailable() from error
    if not isinstance(document, dict):
        raise history_unavailable()
    return document


def _to_problem(answer: httpx.Response) -> Problem:
    """Return history's problem as ours; anything but a problem document means that history is unavailable."""
    try:
        document = answer.json()
        kind, detail = ProblemType.from_name(document["type"].removeprefix(TYPE_BASE)), str(document["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return history_unavailable()
    if answer.status_code >= 500 or answer.status_code == httpx.codes.UNAUTHORIZED:
        return history_unavailable()
    return Problem(kind, detail)


def _parse_instants(value: Any) -> Any:
    """Return a JSON value with its instants parsed: the fields that are named like one."""
    match value:
        case Mapping():
            return {name: _parse_field(name, field) for name, field in value.items()}
        case list():
            return [_parse_instants(each) for each in value]
    return value


def _parse_field(name: str, value: Any) -> Any:
    is_instant = (name in _INSTANTS or name.endswith("_at")) and isinstance(value, str)
    return datetime.fromisoformat(value) if is_instant else _parse_instants(value)


_INSTANTS = {"slot", "start", "end", "data_complete_through"}
