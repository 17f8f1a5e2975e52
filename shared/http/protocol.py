"""HTTP/1.1 for the open network: half a request, an idle connection or too many of them cost others nothing.

uvicorn answers requests; what it leaves open is decided here. A request whose head or body does not arrive in time
gets 408, a client that reads nothing is dropped, and when there are too many connections, the one that has been waiting
longest for a request gives way. Health and metrics are answered whatever the number of requests.
"""

import asyncio
import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from shared.http.headers import SERVER_HEADERS
from shared.http.problems import MEDIA_TYPE, Problem, ProblemType
from shared.http.refusals import count_refusal

HEAD_BYTES_MAX = 64 << 10
HEALTH_PATHS = frozenset({"/livez", "/readyz", "/metrics"})
RETRY_SECONDS, LINGER_SECONDS = 5, 1.0
_HEAD_TOO_LARGE = Problem(
    ProblemType.HEADERS_TOO_LARGE, f"The address and headers exceed {HEAD_BYTES_MAX >> 10} KiB: send less."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits of a server, in seconds, bytes a second, and numbers of connections and requests."""

    handshake_seconds: float = 10.0
    head_seconds: float = 10.0
    body_seconds: float = 10.0
    body_rate: float = 16_384.0
    idle_seconds: float = 15.0
    unread_seconds: float = 60.0
    connections: int = 4_000

    @property
    def requests(self) -> int:
        """The most requests at the same time, so that some connections are left for health and metrics."""
        return self.connections * 9 // 10


@dataclass(slots=True)
class _Waiting:
    """The connections that wait for a request or for its rest, the longest wait first."""

    connections: dict["BoundedProtocol", None] = field(default_factory=dict)


def make_protocol(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """Return the protocol of a server with these limits."""

    class Protocol(BoundedProtocol):
        pass

    Protocol.limits, Protocol.waiting = limits, _Waiting()
    return Protocol


class BoundedProtocol(H11Protocol):
    """One connection."""

    limits: ConnectionLimits
    waiting: _Waiting

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self._phase: object = None
        self._began = 0.0
        self._received = 0
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; too many connections make the one that waits longest give way."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.connections and self.waiting.connections:
            next(iter(self.waiting.connections)).give_up()
        self._follow_phase()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._set_phase(None)
        if self._unread_timer is not None:
            self._unread_timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle what has arrived."""
        if self._refused:
            return
        self._received += len(data)
        super().data_received(data)
        self._follow_phase()

    def handle_events(self) -> None:
        """Refuse a head that is too large even if it arrives at once, else handle requests."""
        if self.conn.their_state is h11.IDLE and self._received > HEAD_BYTES_MAX and self._is_head_too_large():
            self._refuse(_HEAD_TOO_LARGE)
            return
        super().handle_events()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._follow_phase()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, or a head that is too large."""
        if len(self.conn.trailing_data[0]) > HEAD_BYTES_MAX:
            self._refuse(_HEAD_TOO_LARGE)
            return
        self._refuse(Problem(ProblemType.MALFORMED, "This is not a valid HTTP request."))

    def pause_writing(self) -> None:
        """Give the client some time to read."""
        super().pause_writing()
        self._unread_timer = self.loop.call_later(self.limits.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _follow_phase(self) -> None:
        """Start a timer for what the connection waits for now: the head of a request, its body, or nothing."""
        if self._refused:
            return
        if self.transport.is_closing():
            self._set_phase(None)
            return
        their = self.conn.their_state
        self._set_phase(their if their in (h11.IDLE, h11.SEND_BODY) else None)

    def _set_phase(self, phase: object) -> None:
        if phase is self._phase:
            return
        self._phase = phase
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.waiting.connections.pop(self, None)
        if phase is not None:
            self.waiting.connections[self] = None
            self._began, self._received = time.monotonic(), len(self.conn.trailing_data[0])
            seconds = self.limits.body_seconds if phase is h11.SEND_BODY else self.limits.head_seconds
            self._timer = self.loop.call_later(seconds, self._check_progress)

    def _check_progress(self) -> None:
        """Give up a request that arrives too slowly; a body has time in proportion to what has arrived of it."""
        self._timer = None
        if self._phase is h11.SEND_BODY and not self._is_answered():
            allowed = self.limits.body_seconds + self._received / self.limits.body_rate
            left = self._began + allowed - time.monotonic()
            if self.flow.read_paused:
                # The service has not taken what has arrived.
                left = max(left, self.limits.body_seconds)
            if left > 0:
                self._timer = self.loop.call_later(left, self._check_progress)
                return
        self.give_up()

    def _is_answered(self) -> bool:
        return self.cycle is not None and self.cycle.response_complete

    def give_up(self) -> None:
        """End a connection that waits: with 408 if some of a request has arrived."""
        self._set_phase(None)
        begun = self.cycle is not None and not self.cycle.response_complete
        if begun and self.cycle.response_started:
            self.transport.abort()
        elif begun or self._received:
            self._refuse(Problem(ProblemType.TIMED_OUT, "The request did not arrive in time: send it again."), 0)
        else:
            self.transport.close()

    def _is_head_too_large(self) -> bool:
        head = self.conn.trailing_data[0]
        ends = (b"\n\r\n", b"\n\n")
        return len(head) > HEAD_BYTES_MAX and all(head.find(each, 0, HEAD_BYTES_MAX) < 0 for each in ends)

    def _refuse(self, problem: Problem, linger: float = LINGER_SECONDS) -> None:
        """Answer with a problem, whatever the state of the request, and close the connection."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        count_refusal(problem.status)
        body = json.dumps(problem.to_document("")).encode()
        headers = [
            ("Content-Type", MEDIA_TYPE),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            *SERVER_HEADERS.items(),
            *problem.headers.items(),
        ]
        lines = [
            f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode() + body)
        self._set_phase(None)
        self._refused = True
        # Closed at once, the connection would be reset by what the client is still sending, and the answer lost.
        self._timer = self.loop.call_later(linger, self.transport.close)


class RequestBound:
    """Middleware that answers 503 above a number of requests at a time, but for health and metrics."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in HEALTH_PATHS:
            await self._app(scope, receive, send)
            return
        if self._count >= self._limit:
            count_refusal(HTTPStatus.SERVICE_UNAVAILABLE)
            headers = {"Retry-After": str(RETRY_SECONDS)}
            problem = Problem(ProblemType.UNAVAILABLE, "Too many requests at the same time: retry.", headers=headers)
            await problem.to_response(scope["path"])(scope, receive, send)
            return
        self._count += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._count -= 1
