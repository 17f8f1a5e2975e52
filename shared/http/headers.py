"""Headers that every response of an API has, and the middleware that sets them."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

API_PREFIX = "/api/"
SECURITY_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Answers belong to one caller, so nothing may keep them; and they are of the type that they declare."""
SERVER_HEADERS = SECURITY_HEADERS | {"Content-Security-Policy": "default-src 'none'"}
"""Those of the server's own answers to what is not a request of the API or of a page."""
_RAW = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]


class SecurityHeaders:
    """Middleware that adds the security headers to each response below `/api/` that does not set them itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(API_PREFIX):
            await self._app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                present = {name for name, _ in headers}
                message["headers"] = [*headers, *(each for each in _RAW if each[0] not in present)]
            await send(message)

        await self._app(scope, receive, send_secured)
