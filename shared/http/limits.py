"""Limits: the size of a request body, and requests per second of each identity."""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from cachetools import LRUCache
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.auth import Identity
from shared.clock import Clock
from shared.http.problems import Problem, ProblemType

BODY_MAX = 1 << 20
_BUCKETS_MAX = 20_000
Credential = TypeVar("Credential")


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimiter:
    """Token buckets by name, in this process: each holds `burst` tokens and gains `per_second`; time is an argument.

    The bucket least recently used is forgotten first, and would be full again after `burst / per_second` seconds.
    """

    def __init__(self, *, per_second: float, burst: int, size: int = _BUCKETS_MAX) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: LRUCache[object, _Bucket] = LRUCache(size)

    def __len__(self) -> int:
        """Return how many buckets are kept."""
        return len(self._buckets)

    def take(self, name: object, now: float) -> float:
        """Take one token; return 0, or the seconds until there is one. `now` is in seconds."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + max(0.0, now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_second
        bucket.tokens -= 1
        return 0.0


def limit_rate(
    authenticate: Callable[[Credential], Awaitable[Identity | None]], limiter: RateLimiter, clock: Clock
) -> Callable[[Credential], Awaitable[Identity | None]]:
    """Return an authentication that also holds each identity to its rate. It raises Problem 429."""

    async def authenticate_within_rate(credential: Credential) -> Identity | None:
        identity = await authenticate(credential)
        seconds = limiter.take(identity.identity_id, clock.now().timestamp()) if identity else 0.0
        if seconds:
            headers = {"Retry-After": str(math.ceil(seconds))}
            raise Problem(
                ProblemType.TOO_MANY_REQUESTS, "Rate limit exceeded: retry after the time given.", headers=headers
            )
        return identity

    return authenticate_within_rate


class BodySizeLimit:
    """Middleware that answers 413 to a body that is too large, and passes others on in one piece.

    Bodies of requests to paths that begin with one of `streamed` are passed on as they arrive, without a limit.
    """

    def __init__(self, app: ASGIApp, streamed: tuple[str, ...] = ()) -> None:
        self._app = app
        self._streamed = streamed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"} or scope["path"].startswith(self._streamed):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            detail = f"The body is larger than {BODY_MAX >> 20} MiB."
            problem = Problem(ProblemType.TOO_LARGE, detail, headers={"Connection": "close"})
            await problem.to_response(scope["path"])(scope, receive, send)
            return
        await self._app(scope, _replay(body, receive), send)


async def _read(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_MAX:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the whole body first."""
    replayed = False

    async def receive_replayed() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_replayed
