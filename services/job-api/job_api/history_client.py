"""The run log and the files, asked of history's API in the name of whoever visits; nothing is kept here."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import httpx
from starlette.requests import Request

from shared.clock import Clock
from shared.http.identity import SESSION_COOKIE
from shared.http.problems import TYPE_BASE, Problem, ProblemType
from shared.observe import get_logger

Query = Sequence[tuple[str, str]]
RETRY_AFTER = 5
_SECONDS = httpx.Timeout(8.0, connect=2.0)
# A session is told to history over Kafka: somebody who has just logged in may be here first.
_NEWCOMER_TURNS, _NEWCOMER_PAUSE = 20, 0.25
log = get_logger(__name__)


class Log:
    """History's API; each call raises Problem 503 `history-unavailable` when history is away."""

    def __init__(self, client: httpx.AsyncClient | None, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def get(self, request: Request, path: str, query: Query = ()) -> dict[str, Any]:
        """Return what is at a path below /api/v1, instants read. Raises the Problem that history answers with."""
        return _document(await self._asked(request, "GET", path, query))

    async def do(self, request: Request, method: str, path: str, query: Query = ()) -> dict[str, Any]:
        """Ask for a change; return what history says of it. Raises the Problem that history answers with."""
        answer = await self._asked(request, method, path, query)
        return _document(answer) if answer.content else {}

    async def _asked(self, request: Request, method: str, path: str, query: Query) -> httpx.Response:
        answer = await self._sent(request, method, path, query)
        for _ in range(_NEWCOMER_TURNS):
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                break
            await self._clock.sleep(_NEWCOMER_PAUSE)
            answer = await self._sent(request, method, path, query)
        if not answer.is_success:
            raise _problem(answer)
        return answer

    async def _sent(self, request: Request, method: str, path: str, query: Query) -> httpx.Response:
        if self._client is None:
            raise away()
        headers = {
            "Cookie": f"{SESSION_COOKIE}={request.cookies.get(SESSION_COOKIE, '')}",
            # The visitor's form was checked here already; history wants the same word of where it comes from.
            "Sec-Fetch-Site": "same-origin",
        }
        try:
            return await self._client.request(
                method, f"/api/v1{path}", params=list(query), headers=headers, timeout=_SECONDS
            )
        except httpx.HTTPError as error:
            log.warning("history does not answer a page", error=type(error).__name__)
            raise away() from error


def away() -> Problem:
    """Return the problem that history is away."""
    words = "The history of runs is away just now. Jobs go on running, and nothing is lost."
    return Problem(ProblemType.HISTORY_UNAVAILABLE, words, headers={"Retry-After": str(RETRY_AFTER)})


def is_away(problem: Problem) -> bool:
    """Return whether a problem is that history is away."""
    return problem.type is ProblemType.HISTORY_UNAVAILABLE


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = _with_instants(answer.json())
    except ValueError as error:
        raise away() from error
    if not isinstance(found, dict):
        raise away()
    return found


def _problem(answer: httpx.Response) -> Problem:
    """Return history's problem as ours; what it cannot say for itself means that it is away."""
    try:
        told = answer.json()
        kind, detail = ProblemType.from_name(str(told["type"]).removeprefix(TYPE_BASE)), str(told["detail"])
    except (ValueError, KeyError, TypeError):
        return away()
    if answer.status_code >= 500 or answer.status_code == httpx.codes.UNAUTHORIZED:
        return away()
    return Problem(kind, detail)


def _with_instants(told: Any) -> Any:
    """Read the instants of a document: fields whose name says that they are one."""
    match told:
        case Mapping():
            return {name: _instant(name, value) for name, value in told.items()}
        case list():
            return [_with_instants(each) for each in told]
    return told


def _instant(name: str, value: Any) -> Any:
    told = name in _INSTANTS or name.endswith("_at")
    return datetime.fromisoformat(value) if told and isinstance(value, str) else _with_instants(value)


_INSTANTS = {"at", "slot", "start", "end", "low", "high", "data_complete_through"}
