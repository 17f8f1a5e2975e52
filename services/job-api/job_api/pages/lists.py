"""Lists of history: their columns, links that sort and page them, and filters as history's API takes them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request

Head = tuple[str, str | None, str]
"""A column's words, the link that sorts by it, and the order that it is in now."""


def heads(request: Request, columns: Iterable[tuple[str, str | None]], sort: str) -> list[Head]:
    """Return the heads of columns, given as words and what they are sorted by; None cannot be sorted by."""
    return [(words, _sorting(request, name, sort), _order(name, sort)) for words, name in columns]


def link(request: Request, **changes: str | None) -> str:
    """Return the address of this list, changed; None takes a part out, and so does an empty one."""
    wanted = {name: value for name, value in (dict(request.query_params) | changes).items() if value}
    return f"{request.url.path}?{urlencode(wanted)}" if wanted else request.url.path


def day(text: str, *, after: bool = False) -> str | None:
    """Return the instant at which a day that was typed begins in UTC, or with `after` ends; None for no day."""
    try:
        begins = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return (begins + timedelta(days=1 if after else 0)).isoformat()
    except (ValueError, OverflowError):
        return None


def options(words: Mapping[str, str], counts: Mapping[str, int], chosen: str) -> list[tuple[str, str, bool]]:
    """Return the options of a filter: value, words with how many there are, and whether it is chosen."""
    return [
        (value, f"{said} ({counts[value]:,})" if counts.get(value) else said, value == chosen)
        for value, said in words.items()
    ]


def _sorting(request: Request, name: str | None, now: str) -> str | None:
    if name is None:
        return None
    return link(request, sort=f"-{name}" if now == name else name, cursor=None, past=None)


def _order(name: str | None, now: str) -> str:
    return {name: "ascending", f"-{name}": "descending"}.get(now, "none") if name else "none"
