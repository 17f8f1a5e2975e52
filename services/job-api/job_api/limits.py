"""How much of it: requests a second for each token, and the size of a body."""

from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.problems import Problem

BODY_MOST = 1 << 20
_BUCKETS_MOST = 20_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """Token buckets by name, in this process: each holds `burst` and gains `per_second`; time is an argument."""

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._held: dict[object, _Bucket] = {}

    def take(self, name: object, now: float) -> float:
        """Take one token; return 0, or the seconds until there will be one."""
        bucket = self._held.get(name)
        if bucket is None:
            self._make_room(now)
            bucket = self._held[name] = _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + max(0.0, now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_second
        bucket.tokens -= 1
        return 0.0

    def _make_room(self, now: float) -> None:
        if len(self._held) < _BUCKETS_MOST:
            return
        full_after = self._burst / self._per_second
        self._held = {name: each for name, each in self._held.items() if now - each.at < full_after}


class LimitedBodies:
    """Answers 413 for a body that is too large, and hands others over whole; `passing` names what streams through."""

    def __init__(self, app: ASGIApp, passing: tuple[str, ...]) -> None:
        self._app = app
        self._passing = passing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"} or scope["path"].startswith(self._passing):
            await self._app(scope, receive, send)
            return
        body = await _read(receive)
        if body is None:
            detail = f"A body of more than {BODY_MOST >> 20} MiB is not taken."
            await Problem(413, "too-large", detail, headers={"Connection": "close"}).response(scope["path"])(
                scope, receive, send
            )
            return
        await self._app(scope, _again(body, receive), send)


async def _read(receive: Receive) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > BODY_MOST:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
