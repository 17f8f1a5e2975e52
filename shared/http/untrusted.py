"""Decoding text that anybody may send: its length, depth and digits are bounded before it is decoded.

The standard library's decoders raise more kinds of errors than they document, such as RecursionError, and some take
time that is quadratic in the length of their input.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any

TEXT_MAX = 8_192
"""The most characters of a text that is decoded; browsers and servers allow no longer cookies and headers either."""
BRACKETS_MAX = 256
"""The most brackets in a JSON text: no text of ours has more, and so none is nested more deeply."""
DIGITS_MAX = 18
"""The most digits of an integer: each fits into PostgreSQL's bigint."""


class InvalidText(ValueError):
    """A text cannot be decoded, or exceeds a bound; the message never quotes it."""


def decode_json(text: str | bytes, *, limit: int = TEXT_MAX) -> Any:
    """Return the value of a JSON text of at most `limit` characters. Raises InvalidText."""
    if len(text) > limit:
        raise InvalidText(f"it is longer than {limit:,} characters")
    try:
        decoded = text if isinstance(text, str) else text.decode()
        if decoded.count("[") + decoded.count("{") > BRACKETS_MAX:
            raise InvalidText(f"it has more than {BRACKETS_MAX} brackets")
        return json.loads(decoded, parse_int=decode_integer)
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, InvalidText) else InvalidText("it is no JSON") from None


def decode_base64_json(text: str, *, limit: int = TEXT_MAX) -> Any:
    """Return the value of a JSON text in URL-safe base64, with or without padding. Raises InvalidText."""
    if len(text) > limit:
        raise InvalidText(f"it is longer than {limit:,} characters")
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (ValueError, binascii.Error):
        raise InvalidText("it is no base64") from None
    return decode_json(decoded, limit=limit)


def decode_integer(text: str, *, digits: int = DIGITS_MAX) -> int:
    """Return a decimal integer of at most so many digits. Raises InvalidText."""
    number = text.removeprefix("-")
    if not (number.isascii() and number.isdigit() and len(number) <= digits):
        raise InvalidText(f"it is no integer of 1 to {digits} digits")
    return int(text)


def find_cookie(headers: Iterable[tuple[bytes, bytes]], name: str) -> str:
    """Return the last value of a cookie in a request's headers; "" without one.

    Values are taken as they are, but for the quotes around one: Sluice sets no cookie that needs more, and the standard
    library takes quadratic time to undo escapes.
    """
    start = f"{name}="
    found = ""
    for header, value in headers:
        if header == b"cookie" and len(value) <= TEXT_MAX:
            for each in value.decode("latin-1").split(";"):
                if each.strip().startswith(start):
                    found = each.strip().removeprefix(start)
    return found[1:-1] if len(found) > 1 and found[0] == found[-1] == '"' else found
