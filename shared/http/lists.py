"""Lists: filtered, sorted and paged by keyset (rules J11, I4), from the query parameters to SQL.

jobs = KeysetList(name="jobs", statement=SQL["jobs"], key="job_id", sorts={...}, filters={...}, default_sort="title")
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from shared.http.cursors import CURSOR_MAX, Position, SqlType, decode_cursor, encode_cursor
from shared.postgres import Connection, Record

Item = TypeVar("Item")
Other = TypeVar("Other")
LIMIT, LIMIT_MAX = 50, 200
_BACKWARDS = "~"
"""Begins the cursor of a page that ends before a position."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """Which page of a list: its order and filters, at most how many items, and where it begins or ends.

    It begins after the position `after` or ends before the position `before`; the first page has neither.
    """

    sort: str
    descending: bool
    filters: Mapping[str, Any]
    limit: int
    after: Position | None = None
    before: Position | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list, the position after which the next begins, and the one before which the previous ends.

    They are None on the last page and on the first.
    """

    items: list[Item]
    after: Position | None
    before: Position | None = None

    def map(self, convert: Callable[[Item], Other]) -> "Page[Other]":
        """Return the page with each item converted."""
        return Page([convert(each) for each in self.items], self.after, self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysetList:
    """A list as data: its statement, the key that makes its order total, and its sorts and filters.

    `statement` has the tenant as $1 and the places `{sort}`, `{conditions}`, `{direction}` and `{limit}`; it selects
    `{sort}::text AS sorted_by`. `counting`, where there is one, has the places `{conditions}` and `{position}`. `sorts`
    maps names to an SQL expression and its type. `filters` maps names to an SQL condition in which `{0}` is the
    filter's value, with a cast. All of it is our own SQL, never input.
    """

    name: str
    statement: str
    key: str
    key_type: SqlType = "uuid"
    sorts: Mapping[str, tuple[str, SqlType]]
    filters: Mapping[str, str]
    default_sort: str
    counting: str = ""

    async def fetch(self, database: Connection, tenant_id: UUID, request: PageRequest, *values: Any) -> Page[Record]:
        """Return a page of a tenant's rows; `values` are the statement's own parameters, from $2 on."""
        statement, arguments = self.to_sql(tenant_id, request, *values)
        rows = await database.fetch(statement, *arguments)
        items, has_more = rows[: request.limit], len(rows) > request.limit
        if request.before is not None:
            items.reverse()
        after = self._position(items[-1]) if items and (has_more or request.before is not None) else None
        before = self._position(items[0]) if items and (has_more if request.before else request.after) else None
        return Page(items, after, before)

    async def count(
        self, database: Connection, tenant_id: UUID, request: PageRequest, *, first: Position | None
    ) -> tuple[int, int]:
        """Return how many rows the filters match, and how many of them stand before the page's `first` row."""
        column, column_type = self.sorts[request.sort]
        arguments: list[Any] = [tenant_id]
        conditions, position = self.where(request.filters, arguments), "false"
        if first is not None:
            arguments += first
            comparison = ">" if request.descending else "<"
            position = f"({column}, {self.key}) {comparison} {self._parameters(len(arguments), column_type)}"
        row = await database.fetchrow(self.counting.format(conditions=conditions, position=position), *arguments)
        return (row["total"], row["before"]) if row is not None else (0, 0)

    def to_sql(self, tenant_id: UUID, request: PageRequest, *values: Any) -> tuple[str, list[Any]]:
        """Return the statement of a page, and one row more if there is another page, with its values.

        The rows of a page that ends before a position come in the opposite order.
        """
        column, column_type = self.sorts[request.sort]
        arguments = [tenant_id, *values]
        conditions = self.where(request.filters, arguments)
        descends = request.descending is (request.before is None)
        if (position := request.before or request.after) is not None:
            arguments += position
            parameters = self._parameters(len(arguments), column_type)
            conditions += f" AND ({column}, {self.key}) {'<' if descends else '>'} {parameters}"
        statement = self.statement.format(
            sort=column,
            # In the text, so that a cached plan knows how few rows are wanted.
            limit=int(request.limit) + 1,
            direction="DESC" if descends else "ASC",
            conditions=conditions,
        )
        return statement, arguments

    def where(self, filters: Mapping[str, Any], arguments: list[Any]) -> str:
        """Return the conditions of these filters, each begun with AND; their values are appended to `arguments`.

        Only filters that are set become conditions, so that the planner knows which index serves each.
        """
        conditions = ""
        for name, value in filters.items():
            arguments.append(value)
            conditions += f" AND {self.filters[name].format(f'${len(arguments)}')}"
        return conditions

    def _position(self, row: Record) -> Position:
        return row["sorted_by"], str(row[self.key.rpartition(".")[2]])

    def _parameters(self, last: int, column_type: SqlType) -> str:
        return f"(${last - 1}::text::{column_type}, ${last}::text::{self.key_type})"


class FilterQuery(BaseModel):
    """The query parameters that filter a list. A subclass names its list, and has a field for each of its filters."""

    model_config = ConfigDict(extra="forbid")
    rows: ClassVar[KeysetList]

    def to_filters(self) -> dict[str, Any]:
        """Return the filters that are set."""
        found = {name: getattr(self, name) for name in self.rows.filters}
        return {name: value for name, value in found.items() if value is not None}


class ListQuery(FilterQuery):
    """The query parameters of a list: its filters, and which page in which order."""

    limit: int = Field(LIMIT, ge=1, le=LIMIT_MAX, description="at most how many items on the page", examples=[LIMIT])
    cursor: str | None = Field(
        None,
        max_length=CURSOR_MAX,
        description="`next` of the previous page, with the same sort and filters",
    )
    sort: str

    @field_validator("sort")
    @classmethod
    def check_sort(cls, sort: str) -> str:
        """Return a sort that the list has. Raises ValueError."""
        if sort.removeprefix("-") not in cls.rows.sorts:
            names = ", ".join(cls.rows.sorts)
            raise PydanticCustomError("sort", "should be one of {names}; - in front: descending", {"names": names})
        return sort

    def to_page_request(self) -> PageRequest:
        """Return the page that is requested. Raises Problem 422 for a cursor of another list or order."""
        column = self.sort.removeprefix("-")
        types = (self.rows.sorts[column][1], self.rows.key_type)
        is_backwards = self.cursor is not None and self.cursor.startswith(_BACKWARDS)
        position = (
            decode_cursor(self.cursor.removeprefix(_BACKWARDS), self._order, types) if self.cursor is not None else None
        )
        return PageRequest(
            sort=column,
            descending=self.sort.startswith("-"),
            filters=self.to_filters(),
            limit=self.limit,
            after=None if is_backwards else position,
            before=position if is_backwards else None,
        )

    def next_cursor(self, page: Page[Any]) -> str | None:
        """Return the cursor of the page after this one; None on the last."""
        return encode_cursor(self._order, page.after) if page.after else None

    def previous_cursor(self, page: Page[Any]) -> str | None:
        """Return the cursor of the page before this one; None on the first."""
        return _BACKWARDS + encode_cursor(self._order, page.before) if page.before else None

    @property
    def _order(self) -> str:
        return f"{self.rows.name} {self.sort}"


def sort_field(rows: KeysetList) -> Any:
    """Return the field `sort` of a list's query: its default, and in the document the enumeration of its sorts."""
    choices = [prefix + name for name in rows.sorts for prefix in ("", "-")]
    return Field(
        rows.default_sort,
        validate_default=False,
        description="the field to sort by; `-` in front: descending",
        examples=[rows.default_sort],
        json_schema_extra={"enum": list(choices)},
    )


def between(name: str, column: str) -> dict[str, str]:
    """Return the two filters of an instant: `<name>_from` includes it, `<name>_until` does not."""
    return {f"{name}_from": f"{column} >= {{0}}::timestamptz", f"{name}_until": f"{column} < {{0}}::timestamptz"}
