"""Bodies of requests: read up to a limit, which is small while their sender is not known.

Routes identify their caller before they read (`shared.http.routing`), so the answer is 401 or 403 to a sender without
access, then 413 to a body that is too large, and only then 422 to one that is invalid; and nobody makes a process read
what it will not use.
"""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.identity import has_identity
from shared.http.problems import Problem, ProblemType

BODY_MAX = 1 << 20
ANONYMOUS_BODY_MAX = 16 << 10
"""The limits in bytes for senders who are known, and for others: a login is all that they may send."""


class BodyRefused(HTTPException):
    """A body is larger than its sender may send.

    The framework passes on only its own kind of errors from the reading of a body.
    """

    def __init__(self, limit: int) -> None:
        size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit >> 10} KiB"
        self.problem = Problem(ProblemType.TOO_LARGE, f"The body is larger than {size}: send less.")
        super().__init__(self.problem.status)


class BodyGate:
    """Middleware through which requests' bodies are read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or (declared := _declared_size(scope)) == 0:
            await self._app(scope, receive, send)
            return
        size = declared or 0

        async def receive_limited() -> Message:
            nonlocal size
            limit = BODY_MAX if has_identity(scope) else ANONYMOUS_BODY_MAX
            if size > limit:
                raise BodyRefused(limit)
            message = await receive()
            if declared is None:
                size += len(message.get("body", b""))
                if size > limit:
                    raise BodyRefused(limit)
            return message

        await self._app(scope, receive_limited, send)


def _declared_size(scope: Scope) -> int | None:
    """Return the size that a request declares for its body; None where it declares a body, and not its size."""
    headers = {name: value for name, value in scope["headers"] if name in {b"content-length", b"transfer-encoding"}}
    if b"transfer-encoding" in headers:
        return None
    # The server has checked that it is a number, and reads no more; more digits than these are more than any limit.
    return int(headers.get(b"content-length", b"0")[:18])
