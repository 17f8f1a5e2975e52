"""What each error of PostgreSQL and its driver means, as a table: read this first.

The first row that fits decides. An error that no row names is unexpected.
"""

import asyncio
from dataclasses import dataclass
from typing import Literal

import asyncpg

Verdict = Literal["transient", "content", "unexpected"]
"""What follows from an error.

`transient`: the same call may succeed later; a request is answered with 503. `content`: only the values of this call
can be the cause; a message becomes a dead letter. `unexpected`: an operator must act; consumers and loops retry
nevertheless, since most of these end with a repair.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRow:
    """One row of the table: SQLSTATEs, or classes of them (two characters), and types of errors without one.

    After an error with `renew`, the pool's connections are replaced: they lead to the wrong server, or remember a
    schema that has changed.
    """

    meaning: str
    verdict: Verdict
    sqlstates: tuple[str, ...] = ()
    types: tuple[type[BaseException], ...] = ()
    renew: bool = False

    def fits(self, error: BaseException) -> bool:
        """Return whether this row is about the error."""
        sqlstate = getattr(error, "sqlstate", None) or ""
        return isinstance(error, self.types) or any(sqlstate.startswith(each) for each in self.sqlstates)


TABLE: tuple[ErrorRow, ...] = (
    ErrorRow(
        meaning="a statement was prepared before the schema changed",
        verdict="transient",
        types=(asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError),
        renew=True,
    ),
    ErrorRow(meaning="the server is read-only: a standby", verdict="transient", sqlstates=("25006",), renew=True),
    ErrorRow(meaning="the server ended an idle transaction", verdict="transient", sqlstates=("25P03", "25P04")),
    ErrorRow(meaning="the server's disk is full", verdict="transient", sqlstates=("53100",)),
    ErrorRow(meaning="the server has no connection left", verdict="transient", sqlstates=("53300",)),
    ErrorRow(meaning="the server lacks memory or another resource", verdict="transient", sqlstates=("53",)),
    ErrorRow(
        meaning="the server stops or starts",
        verdict="transient",
        sqlstates=("57P01", "57P02", "57P03", "57P05"),
    ),
    ErrorRow(meaning="the database was dropped", verdict="transient", sqlstates=("57P04", "3D000"), renew=True),
    ErrorRow(meaning="the statement was cancelled or took too long", verdict="transient", sqlstates=("57014",)),
    ErrorRow(meaning="a lock was not granted in time", verdict="transient", sqlstates=("55P03", "55006")),
    ErrorRow(meaning="another transaction was in the way", verdict="transient", sqlstates=("40",)),
    ErrorRow(meaning="the connection failed", verdict="transient", sqlstates=("08",)),
    ErrorRow(meaning="the server refuses the login", verdict="transient", sqlstates=("28",)),
    ErrorRow(meaning="a permission is missing", verdict="transient", sqlstates=("42501",)),
    ErrorRow(
        meaning="a table or column is missing or has another type: the schema changed, or a migration is missing",
        verdict="unexpected",
        sqlstates=("42P01", "42703", "42883", "42804", "3F000", "26000"),
        renew=True,
    ),
    ErrorRow(meaning="the server cannot read or write its files", verdict="transient", sqlstates=("58", "XX")),
    ErrorRow(
        meaning="a value is unsuitable for its column",
        verdict="content",
        sqlstates=("22", "23514", "54000"),
        types=(asyncpg.exceptions._base.DataError,),  # noqa: SLF001 - hidden by the class of SQLSTATE 22 of this name
    ),
    ErrorRow(
        meaning="no answer: the network, the name service or TLS failed",
        verdict="transient",
        types=(OSError, TimeoutError, asyncio.IncompleteReadError),
    ),
    ErrorRow(
        meaning="the driver lost the connection",
        verdict="transient",
        types=(asyncpg.InternalClientError,),
    ),
)


def find_row(error: BaseException) -> ErrorRow | None:
    """Return the row of an error, or None for an unexpected one."""
    found = next((row for row in TABLE if row.fits(error)), None)
    if found is None and isinstance(error, asyncpg.InterfaceError) and _is_about_connection(error):
        return TABLE[-1]
    return found


def is_content_error(error: BaseException) -> bool:
    """Return whether only the values of the call can have caused this error of PostgreSQL."""
    row = find_row(error)
    return row is not None and row.verdict == "content"


def _is_about_connection(error: asyncpg.InterfaceError) -> bool:
    # The driver has one class for its misuse and for a connection or pool that was closed meanwhile.
    return "connection" in str(error) or "pool" in str(error)
