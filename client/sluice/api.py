"""The REST API as the commands use it: one address, one token, errors in words."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from sluice.errors import SluiceError

_TRIES = 5
_PAGE = 200
_TIMEOUT = httpx.Timeout(30, read=60)

Json = dict[str, Any]


class ApiRefused(SluiceError):
    """The API answered 4xx or 5xx: `status`, and the problem document's own words."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class Api:
    """Speaks with one Sluice. What fails in passing (connection lost, 429, 503) is tried again, reads and idempotent
    writes alike; everything raises SluiceError.
    """

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "sluice"}
        try:
            self._http = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT, follow_redirects=False)
        except httpx.InvalidURL:
            raise _no_address(url) from None
        if self._http.base_url.scheme not in {"http", "https"} or not self._http.base_url.host:
            raise _no_address(url)

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: object) -> Json:
        """Return what a path below /api/v1 answers."""
        return self._object(self._ask("GET", path, params=_given(query)))

    def items(self, path: str, **query: object) -> Iterator[Json]:
        """Yield the items of a list, page after page."""
        cursor: object = None
        while True:
            page = self.get(path, limit=_PAGE, cursor=cursor, **query)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def post(self, path: str, body: object = None) -> Json:
        """Send a command or something new; sent twice it is done once."""
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        return self._object(self._ask("POST", path, json=body, headers=headers))

    def patch(self, path: str, changes: Json, *, etag: str) -> Json:
        """Change what is still as it was when `etag` was read."""
        return self._object(self._ask("PATCH", path, json=changes, headers={"If-Match": etag}))

    def delete(self, path: str, *, etag: str | None = None) -> None:
        """Remove something."""
        self._ask("DELETE", path, headers={"If-Match": etag} if etag else {})

    @contextmanager
    def stream(self, path: str, headers: dict[str, str], **query: object) -> Iterator[httpx.Response]:
        """Open an answer that is read as it comes. Raises ApiRefused, and httpx.TransportError where it is cut off."""
        with self._http.stream("GET", f"/api/v1{path}", headers=headers, params=_given(query)) as answer:
            if answer.is_error:
                answer.read()
                raise _refusal(answer)
            yield answer

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        for attempt in range(1, _TRIES + 1):
            try:
                answer = self._http.request(method, f"/api/v1{path}", **request)
            except httpx.TransportError as error:
                if attempt == _TRIES:
                    raise unreachable(self._http.base_url, error) from None
                time.sleep(pause(attempt))
                continue
            if answer.status_code in {429, 503} and attempt < _TRIES:
                time.sleep(pause(attempt, answer.headers.get("Retry-After")))
            elif answer.is_error:
                raise _refusal(answer)
            else:
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _object(self, answer: httpx.Response) -> Json:
        try:
            found = answer.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise SluiceError(f"{self._http.base_url} does not answer as Sluice does; is the address right?")
        return found


def _no_address(url: str) -> SluiceError:
    return SluiceError(f"{url} is no address; give one like https://sluice.example.")


def unreachable(url: object, error: httpx.TransportError) -> SluiceError:
    """Return what is said when an address does not answer."""
    return SluiceError(f"{url} cannot be reached ({type(error).__name__}); check the address and the network.")


def pause(attempt: int, asked: str | None = None) -> float:
    """Return the seconds to wait before the next attempt: what the server asked for, else longer each time."""
    if asked is not None and asked.isdecimal():
        return min(float(asked), 60.0)
    return min(0.25 * 2.0**attempt, 10.0)


def _given(query: dict[str, object]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _refusal(answer: httpx.Response) -> ApiRefused:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        words = "Sluice does not take this API key: it is wrong, expired or revoked. Make one under Preferences."
        return ApiRefused(answer.status_code, words)
    try:
        problem = json.loads(answer.content)
        words = str(problem["detail"])
        fields = [f"{each.get('field', '')}: {each.get('message', '')}" for each in problem.get("errors", [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        words, fields = f"The server answered {answer.status_code}.", []
    return ApiRefused(answer.status_code, "\n  ".join([words, *fields]))
