"""Cursors: the position in a sorted list after which its next page begins, opaque to callers (rule I4)."""

import base64
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from shared.http.problems import FieldError, invalid_request
from shared.http.untrusted import decode_base64_json

CURSOR_MAX = 2_000
SqlType = Literal["text", "timestamptz", "integer", "bigint", "float8", "uuid"]
Position = tuple[str, str]
"""What the last row of a page is sorted by, and the row's key, both as PostgreSQL writes them as text."""


def encode_cursor(order: str, position: Position) -> str:
    """Return the cursor of a position in a list of this order; `order` names the list and its sort."""
    text = json.dumps([order, *position], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str, order: str, types: tuple[SqlType, SqlType]) -> Position:
    """Return the position that a cursor stands for, its two values checked against their types.

    Raises Problem 422 for what is not a cursor of this list and order.
    """
    try:
        known, value, key = decode_base64_json(cursor, limit=CURSOR_MAX)
        position = _PARSERS[types[0]](value), _PARSERS[types[1]](key)
    except (ValueError, TypeError, AttributeError, OverflowError):
        known = position = None
    if position is None or known != order:
        raise invalid_request(FieldError("cursor", "invalid cursor for this list and sort: start without a cursor"))
    return position


def _parse_text(value: str) -> str:
    # PostgreSQL stores neither NUL nor lone surrogates, so no list has such a value.
    if "\0" in value:
        raise ValueError(value)
    value.encode()
    return value


def _parse_instant(value: str) -> str:
    if value in {"infinity", "-infinity"}:
        return value
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError(value)
    return str(at.astimezone(UTC))


def _parse_integer(digits: int) -> Callable[[str], str]:
    pattern = re.compile(rf"-?\d{{1,{digits}}}", re.ASCII)

    def parse(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(value)
        return value

    return parse


def _parse_float(value: str) -> str:
    if not math.isfinite(float(value)):
        raise ValueError(value)
    return repr(float(value))


_PARSERS: dict[SqlType, Callable[[str], str]] = {
    "text": _parse_text,
    "timestamptz": _parse_instant,
    "integer": _parse_integer(9),
    "bigint": _parse_integer(18),
    "float8": _parse_float,
    "uuid": lambda value: str(UUID(value)),
}
