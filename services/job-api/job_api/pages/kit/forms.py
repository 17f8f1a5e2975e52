"""Forms: what they bring, and the proof that they are our own."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from starlette.requests import Request

from job_api.uploads import form_pairs
from shared.http.identity import SESSION_COOKIE
from shared.http.problems import Problem, ProblemType

CSRF_FIELD = "csrf"


class Form:
    """The fields of a form; a name may come several times."""

    def __init__(self, pairs: Sequence[tuple[str, bytes]]) -> None:
        self._pairs = pairs

    def get(self, name: str, otherwise: str = "") -> str:
        """Return the last value of a field, as text that can be stored."""
        found = self.all(name)
        return found[-1] if found else otherwise

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of a field, as of boxes that were ticked."""
        return tuple(_text(value) for each, value in self._pairs if each == name)

    def raw(self, name: str) -> bytes:
        """Return the last value of a field as it was sent, as of a file."""
        return next((value for each, value in reversed(self._pairs) if each == name), b"")

    def has(self, name: str) -> bool:
        """Return whether a field was sent."""
        return any(each == name for each, _ in self._pairs)


async def form_of(request: Request) -> Form:
    """Return what a form brings. Raises Problem 422 for one that no page of ours sends."""
    try:
        return Form(form_pairs(request.headers.get("content-type", ""), await request.body()))
    except ValueError:
        raise Problem(ProblemType.INVALID, "This form cannot be read: load the page again.") from None


def csrf_token(request: Request) -> str:
    """Return a token for the forms of this session; each is different, so that nothing can be told from its bytes."""
    nonce = secrets.token_hex(8)
    return f"{nonce}.{_mark(request, nonce)}"


def is_ours(request: Request, token: str) -> bool:
    """Return whether a form bears a token that was given to this session."""
    nonce, _, mark = token.partition(".")
    return hmac.compare_digest(mark.encode(), _mark(request, nonce).encode())


def _mark(request: Request, nonce: str) -> str:
    # Whoever does not hold the session cookie, which no script can read, cannot make one.
    session = request.cookies.get(SESSION_COOKIE, "")
    return hmac.new(session.encode(), f"form {nonce}".encode(), hashlib.sha256).hexdigest()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace").replace("\0", "").replace("\r\n", "\n")
