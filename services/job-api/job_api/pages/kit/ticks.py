"""Ticked rows that survive a refused action: a cookie brings them back to the list, once."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from shared.http.untrusted import find_cookie

TICKS_COOKIE = "sluice_ticks"
_MAX_AGE_SECONDS = 60
_MAX_LENGTH = 3_600
_MAX_TICKS = 110
"""As many as fit into a cookie; at most 100 files and a page of 50 runs can be selected at once."""


def keep_ticks(answer: Response, path: str, ticked: Iterable[str]) -> None:
    """Keep which rows are ticked for the next page below `path`; each is an id, or an id and a kind after a colon."""
    packed = ".".join(_pack(each) for each in list(ticked)[:_MAX_TICKS])[:_MAX_LENGTH]
    if packed:
        answer.set_cookie(TICKS_COOKIE, packed, max_age=_MAX_AGE_SECONDS, httponly=True, samesite="strict", path=path)


def read_ticks(request: Request) -> frozenset[str]:
    """Return the rows that were ticked before a refused action; anything but ids of ours is ignored."""
    packed = find_cookie(request.headers.raw, TICKS_COOKIE).split(".")[:_MAX_TICKS]
    return frozenset(filter(None, map(_unpack, packed)))


def forget_ticks(answer: Response, path: str) -> None:
    """Delete the cookie, as its rows are ticked now."""
    answer.delete_cookie(TICKS_COOKIE, path=path)


def _pack(value: str) -> str:
    text, _, kind = value.partition(":")
    return urlsafe_b64encode(UUID(text).bytes).rstrip(b"=").decode() + (f":{kind}" if kind else "")


def _unpack(packed: str) -> str:
    text, _, kind = packed.partition(":")
    try:
        found = str(UUID(bytes=urlsafe_b64decode(text + "==")))
    except (ValueError, Base64Error):
        return ""
    return f"{found}:{kind}" if kind else found
