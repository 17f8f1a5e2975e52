"""Opaque cursors: the place in a sorted list after which the next page begins."""

import base64
import binascii
import json
from uuid import UUID

from history.store.listing import Page
from shared.http.problems import FieldError, Problem, invalid
from shared.postgres import Record


def page_of(sort: str, known: object, *, limit: int, cursor: str | None) -> Page:
    """Return the page that a request asks for: `sort` is a column, with `-` before it when descending.

    Raises Problem 422 for a column that cannot be sorted by, and for a cursor that is not of this list and order.
    """
    column, descending = sort.removeprefix("-"), sort.startswith("-")
    assert isinstance(known, dict)
    if column not in known:
        names = ", ".join(sorted(known))
        raise invalid(FieldError("sort", f"one of {names}, with - before it for descending"))
    after = _decoded(cursor, sort) if cursor else None
    return Page(sort=column, descending=descending, limit=limit, after=after)


def next_cursor(rows: list[Record], page: Page, tie: str) -> str | None:
    """Return the cursor behind the page's last row, or None when nothing follows."""
    if len(rows) <= page.limit:
        return None
    last = rows[page.limit - 1]
    place = [("-" if page.descending else "") + page.sort, last["sort_value"], str(last[tie])]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def invalid_cursor() -> Problem:
    """Return the answer to a cursor that is not ours."""
    return invalid(FieldError("cursor", "use the `next` of the page before, with the same sort"))


def _decoded(cursor: str, sort: str) -> tuple[str, UUID]:
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        order, value, tie = place
        if order != sort or not isinstance(value, str):
            raise invalid_cursor()
        return value, UUID(tie)
    except (binascii.Error, ValueError, TypeError, AttributeError):
        raise invalid_cursor() from None
