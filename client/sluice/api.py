"""The REST API as the commands use it: one address, one token, and errors as sentences."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from sluice.errors import SluiceError

_ATTEMPTS = 5
_PAGE = 200
_TIMEOUT = httpx.Timeout(30, read=60)

Json = dict[str, Any]


class ApiError(SluiceError):
    """The API responded with a status of 4xx or 5xx; the message is the problem document's detail."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Api:
    """A client of one Sluice. A request that fails for a transient reason (connection lost, 429, 503) is retried.

    Every method raises ApiError when the API reports a problem, and SluiceError when it cannot be reached or does not
    respond as Sluice does.
    """

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "User-Agent": "sluice"}
        try:
            self._http = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT, follow_redirects=False)
        except httpx.InvalidURL:
            raise _address_error(url) from None
        if self._http.base_url.scheme not in {"http", "https"} or not self._http.base_url.host:
            raise _address_error(url)

    def __enter__(self) -> "Api":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **query: object) -> Json:
        """Return the document at a path below /api/v1; query parameters of None are left out."""
        return self._parse(self._request("GET", path, params=_without_none(query)))

    def items(self, path: str, **query: object) -> Iterator[Json]:
        """Yield the items of a list, page by page."""
        cursor: object = None
        while True:
            page = self.get(path, limit=_PAGE, cursor=cursor, **query)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return

    def post(self, path: str, body: object = None) -> Json:
        """Create something or request an action; retries have no further effect."""
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        return self._parse(self._request("POST", path, json=body, headers=headers))

    def patch(self, path: str, changes: Json, *, etag: str) -> Json:
        """Change a resource, provided that its ETag is still `etag`."""
        return self._parse(self._request("PATCH", path, json=changes, headers={"If-Match": etag}))

    def delete(self, path: str, *, etag: str | None = None) -> None:
        """Delete a resource; with `etag`, provided that its ETag is still this one."""
        self._request("DELETE", path, headers={"If-Match": etag} if etag else {})

    @contextmanager
    def stream(self, path: str, headers: dict[str, str], **query: object) -> Iterator[httpx.Response]:
        """Open a response to be read in chunks. Raises ApiError, and httpx.TransportError if the connection is lost."""
        with self._http.stream("GET", f"/api/v1{path}", headers=headers, params=_without_none(query)) as response:
            if response.is_error:
                response.read()
                raise _api_error(response)
            yield response

    def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                response = self._http.request(method, f"/api/v1{path}", **request)
            except httpx.TransportError as error:
                if attempt == _ATTEMPTS:
                    raise unreachable_error(self._http.base_url, error) from None
                time.sleep(retry_delay(attempt))
                continue
            if response.status_code in {429, 503} and attempt < _ATTEMPTS:
                time.sleep(retry_delay(attempt, response.headers.get("Retry-After")))
            elif response.is_error:
                raise _api_error(response)
            else:
                return response
        raise AssertionError("the last attempt returns or raises")

    def _parse(self, response: httpx.Response) -> Json:
        try:
            document = response.json()
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise SluiceError(f"{self._http.base_url} does not respond as Sluice does; check the address.")
        return document


def unreachable_error(url: object, error: httpx.TransportError) -> SluiceError:
    """Return the error to raise when there is no connection to a server."""
    return SluiceError(f"{url} cannot be reached ({type(error).__name__}); check the address and the network.")


def retry_delay(attempt: int, retry_after: str | None = None) -> float:
    """Return the seconds to wait before the next attempt: the server's `Retry-After`, otherwise longer each time."""
    if retry_after is not None and retry_after.isdecimal():
        return min(float(retry_after), 60.0)
    return min(0.25 * 2.0**attempt, 10.0)


def _address_error(url: str) -> SluiceError:
    return SluiceError(f"{url} is not a valid address; use one like https://sluice.example.")


def _without_none(query: dict[str, object]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}


def _api_error(response: httpx.Response) -> ApiError:
    if response.status_code == httpx.codes.UNAUTHORIZED:
        detail = "This API key is wrong, expired or revoked. Create one under Preferences."
        return ApiError(response.status_code, detail)
    try:
        problem = json.loads(response.content)
        detail = str(problem["detail"])
        fields = [f"{each.get('field', '')}: {each.get('message', '')}" for each in problem.get("errors", [])]
    except (ValueError, KeyError, TypeError, AttributeError):
        detail, fields = f"The server responded with status {response.status_code}.", []
    return ApiError(response.status_code, "\n  ".join([detail, *fields]))
