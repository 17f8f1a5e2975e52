"""Lists on pages: their columns, links that sort and page them, and filters in the terms of the APIs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydantic import ValidationError
from starlette.requests import Request

from shared.http.lists import ListQuery, Page
from shared.http.problems import Problem, ProblemType

Columns = Iterable[tuple[str, str | None]]
"""Columns as their labels and the names that they are sorted by; None for a column that cannot be sorted by."""
ColumnHeader = tuple[str, str | None, str]
"""A column's label, the link that sorts by it, and its present order: none, ascending or descending."""
Option = tuple[str, str, bool]
"""An option of a filter: its value, its label, and whether it is selected."""
Query = TypeVar("Query", bound=ListQuery)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListAddress:
    """A list as the page's address describes it, and the addresses of its other orders, filters and pages.

    Where a page has several lists, the parameters of each begin with its `prefix`, and `anchor` leads back to it.
    The parameters in `position` say which page of the list is shown.
    """

    request: Request
    path: str
    name: str
    prefix: str = ""
    anchor: str = ""
    position: Sequence[str] = ("cursor",)

    def get(self, name: str) -> str:
        """Return a parameter of this list; empty if the address does not have it."""
        return self.request.query_params.get(self.prefix + name, "")

    def get_day(self, name: str) -> str | None:
        """Return the instant at which a day begins, from a parameter named `<column>_from`; None for no day."""
        return parse_day(self.get(name))

    def get_last_day(self, name: str) -> str | None:
        """Return the instant at which a day ends, from a parameter named `<column>_until`; None for no day."""
        return parse_day(self.get(name), at_end=True)

    def link(self, **changes: str | None) -> str:
        """Return the page's address with some parameters changed; None or an empty text removes a parameter."""
        changed = {self.prefix + name: value for name, value in changes.items()}
        wanted = {name: value for name, value in (dict(self.request.query_params) | changed).items() if value}
        return f"{self.path}{'?' if wanted else ''}{urlencode(wanted)}{self.anchor}"

    def link_to_first(self, **changes: str | None) -> str:
        """Return the address of the list's first page, with some parameters changed."""
        return self.link(**dict.fromkeys(self.position), **changes)

    def parse(self, kind: type[Query], **filters: str | None) -> Query:
        """Return the query that the address describes, with these filters. Raises Problem 422."""
        return parse_list_query(kind, filters | {name: self.get(name) for name in ("sort", "cursor")})

    def to_template(
        self, columns: Columns, query: ListQuery, page: Page[Any], *, fields: Sequence[str]
    ) -> dict[str, Any]:
        """Return what the template needs to show a page of the list; `fields` are the parameters that filter it."""
        filters, next_cursor = {name: self.get(name) for name in fields}, query.next_cursor(page)
        own = {self.prefix + name for name in (*fields, "cursor")}
        return {
            "name": self.name,
            "prefix": self.prefix,
            "form": f"filter-{self.name}",
            "action": f"{self.path}{self.anchor}",
            "other_parameters": [each for each in self.request.query_params.items() if each[0] not in own and each[1]],
            "headers": self.headers(columns, query.sort),
            "filters": filters,
            "filtered": any(filters.values()),
            "unfiltered_page": self.link_to_first(**dict.fromkeys(fields)),
            "first_page": self.link_to_first() if query.cursor else None,
            "next_page": self.link(cursor=next_cursor) if next_cursor else None,
        }

    def headers(self, columns: Columns, sort: str) -> list[ColumnHeader]:
        """Return the headers of columns for a list that is in the order `sort` now."""
        return [(label, self._sort_link(name, sort), _order(name, sort)) for label, name in columns]

    def _sort_link(self, name: str | None, sort: str) -> str | None:
        if name is None:
            return None
        return self.link_to_first(sort=f"-{name}" if sort == name else name)


def parse_list_query(kind: type[Query], parameters: Mapping[str, str | None]) -> Query:
    """Return the query of a list; empty parameters are left out. Raises Problem 422."""
    try:
        return kind.model_validate({name: value for name, value in parameters.items() if value})
    except ValidationError:
        raise Problem(ProblemType.INVALID, "This list cannot be filtered or sorted in this way.") from None


def parse_day(text: str, *, at_end: bool = False) -> str | None:
    """Return the instant at which an ISO day begins in UTC, or ends with `at_end`, in RFC 3339; None for no day."""
    try:
        begins = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
        return (begins + timedelta(days=1 if at_end else 0)).isoformat()
    except (ValueError, OverflowError):
        return None


def build_options(labels: Mapping[str, str], counts: Mapping[str, int], selected: str) -> list[Option]:
    """Return the options of a filter; the label of each says how many rows there are, where `counts` knows."""
    return [
        (value, f"{label} ({counts[value]:,})" if counts.get(value) else label, value == selected)
        for value, label in labels.items()
    ]


def _order(name: str | None, sort: str) -> str:
    return {name: "ascending", f"-{name}": "descending"}.get(sort, "none") if name else "none"
