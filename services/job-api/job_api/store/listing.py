"""How every list is filtered, sorted and paged by what it shows (J11); what that is, `lists` says for each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar
from uuid import UUID

from job_api.store.database import SQL
from shared.postgres import Connection, Record

Item = TypeVar("Item")
Other = TypeVar("Other")
Kind = Literal["text", "timestamptz", "integer", "bigint", "uuid"]
Place = tuple[str, str]
"""Where a page ends: what its last row is sorted by, and that row's id, both as PostgreSQL writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to see of a list; `after` is the place that the page before ended at."""

    sort: str
    descending: bool
    filters: Mapping[str, str]
    limit: int
    after: Place | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list, and the place that the next begins after, if there is one."""

    items: list[Item]
    after: Place | None

    def of(self, read: Callable[[Item], Other]) -> "Page[Other]":
        """Return the same page of what its items are read as."""
        return Page([read(each) for each in self.items], self.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list: its query, the column that tells its rows apart, what it is sorted by, and what it is filtered by.

    With a column to sort by comes the type that a cursor's text is read back as; in a filter, `{0}` stands for the text
    that is asked for. All of it is SQL of ours, never anybody's input.
    """

    query: str
    key: str
    key_kind: Kind = "uuid"
    sorts: Mapping[str, tuple[str, Kind]]
    filters: Mapping[str, str]

    async def page(self, database: Connection, tenant_id: UUID, wish: Wish, *more: Any) -> Page[Record]:
        """Return a page of a tenant's rows, whatever its depth; `more` are the query's values from $2 on."""
        statement, values = self.statement(tenant_id, wish, *more)
        rows = await database.fetch(statement, *values)
        shown = rows[: wish.limit]
        if len(rows) == len(shown):
            return Page(shown, None)
        return Page(shown, (shown[-1]["sorted_by"], str(shown[-1][self.key.rpartition(".")[2]])))

    def statement(self, tenant_id: UUID, wish: Wish, *more: Any) -> tuple[str, list[Any]]:
        """Return what reads a page, and a row more where there is another, with its values."""
        column, kind = self.sorts[wish.sort]
        values: list[Any] = [tenant_id, *more]
        conditions = []
        for name, wanted in wish.filters.items():
            values.append(wanted)
            conditions.append(self.filters[name].format(f"${len(values)}::text"))
        if wish.after is not None:
            values += wish.after
            place = f"(${len(values) - 1}::text::{kind}, ${len(values)}::text::{self.key_kind})"
            conditions.append(f"({column}, {self.key}) {'<' if wish.descending else '>'} {place}")
        statement = SQL[self.query].format(
            sort=column,
            # In the text, so that a plan that is kept knows how few rows are wanted.
            limit=int(wish.limit) + 1,
            direction="DESC" if wish.descending else "ASC",
            conditions="".join(f" AND {condition}" for condition in conditions),
        )
        return statement, values
