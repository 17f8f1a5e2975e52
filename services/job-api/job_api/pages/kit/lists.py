"""Lists on pages: their columns, links that sort and page them, and filters as the APIs take them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.requests import Request

from job_api.list_query import ListQuery
from job_api.store.listing import Page
from shared.http.problems import Problem, ProblemType

Columns = Iterable[tuple[str, str | None]]
"""Columns as their words and what they are sorted by; None cannot be sorted by."""
Head = tuple[str, str | None, str]
"""A column's words, the link that sorts by it, and the order that it is in now."""
Query = TypeVar("Query", bound=ListQuery)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A list as the page's address asks for it, and addresses that ask otherwise.

    Where a page has several lists, `prefix` begins what the address says of this one, and `anchor` leads back to it.
    """

    request: Request
    path: str
    name: str
    prefix: str = ""
    anchor: str = ""

    def given(self, name: str) -> str:
        """Return what the address says; nothing where it says nothing."""
        return self.request.query_params.get(self.prefix + name, "")

    def link(self, **changes: str | None) -> str:
        """Return the address of this list, changed; None takes a part out, and so does an empty one."""
        changed = {self.prefix + name: value for name, value in changes.items()}
        wanted = {name: value for name, value in (dict(self.request.query_params) | changed).items() if value}
        return f"{self.path}{'?' if wanted else ''}{urlencode(wanted)}{self.anchor}"

    def query(self, kind: type[Query], **filters: str | None) -> Query:
        """Return what is asked of the list. Raises Problem 422."""
        return query_of(kind, filters | {name: self.given(name) for name in ("sort", "cursor")})

    def shown(self, columns: Columns, query: ListQuery, page: Page[Any], fields: Sequence[str]) -> dict[str, Any]:
        """Return what the template shows of a page of the list, whose filter's form has these fields."""
        filters, following = {name: self.given(name) for name in fields}, query.next_of(page)
        own = {self.prefix + name for name in (*fields, "cursor")}
        return {
            "name": self.name,
            "prefix": self.prefix,
            "form": f"filter-{self.name}",
            "action": f"{self.path}{self.anchor}",
            "kept": [each for each in self.request.query_params.items() if each[0] not in own and each[1]],
            "heads": self.heads(columns, query.sort),
            "filters": filters,
            "filtered": any(filters.values()),
            "all": self.link(**dict.fromkeys((*fields, "cursor"))),
            "first": self.link(cursor=None) if query.cursor else None,
            "following": self.link(cursor=following) if following else None,
        }

    def heads(self, columns: Columns, sort: str) -> list[Head]:
        """Return the heads of columns, in the order that the list is in now."""
        return [(words, self._sorting(name, sort), _order(name, sort)) for words, name in columns]

    def _sorting(self, name: str | None, now: str) -> str | None:
        if name is None:
            return None
        return self.link(sort=f"-{name}" if now == name else name, cursor=None, past=None)


def query_of(kind: type[Query], wanted: Mapping[str, str | None]) -> Query:
    """Return the query of a list, what is empty left out. Raises Problem 422."""
    try:
        return kind.model_validate({name: value for name, value in wanted.items() if value})
    except ValidationError:
        raise Problem(ProblemType.INVALID, "This list cannot be filtered or sorted like that.") from None


def heads(request: Request, columns: Columns, sort: str) -> list[Head]:
    """Return the heads of a page's only list."""
    return View(request=request, path=request.url.path, name="").heads(columns, sort)


def link(request: Request, **changes: str | None) -> str:
    """Return the address of a page's only list, changed; None takes a part out, and so does an empty one."""
    return View(request=request, path=request.url.path, name="").link(**changes)


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


def _order(name: str | None, now: str) -> str:
    return {name: "ascending", f"-{name}": "descending"}.get(now, "none") if name else "none"
