"""Submitted forms: their fields, and the token that proves that they come from our own pages."""

import hashlib
import hmac
import secrets
from collections.abc import Sequence

from starlette.requests import Request

from job_api.forms import InvalidForm, parse_form_fields
from shared.http.idempotency import IdempotentRequest
from shared.http.identity import session_of
from shared.http.problems import Problem, ProblemType

CSRF_FIELD = "csrf"


class Form:
    """The fields of a form; a name may occur several times."""

    def __init__(self, pairs: Sequence[tuple[str, bytes]]) -> None:
        self._pairs = pairs

    def get(self, name: str, default: str = "") -> str:
        """Return the last value of a field, as text that can be stored."""
        values = self.get_all(name)
        return values[-1] if values else default

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return every value of a field, such as the ticked boxes of a group."""
        return tuple(_decode(value) for each, value in self._pairs if each == name)

    def list_texts(self, *, without: Sequence[str]) -> list[tuple[str, str]]:
        """Return the names and values of all fields in order, as text, without those of some names."""
        return [(name, _decode(value)) for name, value in self._pairs if name not in without]

    def get_bytes(self, name: str) -> bytes:
        """Return the last value of a field as it was sent, such as a file."""
        return next((value for each, value in reversed(self._pairs) if each == name), b"")

    def __contains__(self, name: str) -> bool:
        return any(each == name for each, _ in self._pairs)


async def parse_form(request: Request) -> Form:
    """Return the fields of a form.

    Raises BodyRefused for one that is too large for its sender, and Problem 422 for one that no page of ours sends.
    """
    try:
        return Form(parse_form_fields(request.headers.get("content-type", ""), await request.body()))
    except InvalidForm:
        raise Problem(ProblemType.INVALID, "This form cannot be read. Reload the page and try again.") from None


async def identify_submission(request: Request) -> IdempotentRequest:
    """Return the idempotency key of a submitted form: the same form submitted twice is carried out once.

    The key is the hash of path and body, which has the form's token and so differs from page to page.
    """
    digest = hashlib.sha256(request.url.path.encode() + b"\n" + await request.body()).hexdigest()
    return IdempotentRequest(f"page-{digest}", digest, credential="")


def create_csrf_token(request: Request) -> str:
    """Return a token for the forms of this session; each differs, so that compression reveals nothing of its bytes."""
    nonce = secrets.token_hex(8)
    return f"{nonce}.{_sign(request, nonce)}"


def has_valid_csrf_token(request: Request, token: str) -> bool:
    """Return whether a token was issued to this session."""
    nonce, _, signature = token.partition(".")
    return hmac.compare_digest(signature.encode(), _sign(request, nonce).encode())


def _sign(request: Request, nonce: str) -> str:
    # The key is the session cookie, which no script can read: without it, nobody can sign.
    return hmac.new(session_of(request).encode(), f"form {nonce}".encode(), hashlib.sha256).hexdigest()


def _decode(value: bytes) -> str:
    return value.decode("utf-8", "replace").replace("\0", "").replace("\r\n", "\n")
