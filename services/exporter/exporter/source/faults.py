"""What each error of the source's PostgreSQL means for a run, as a table: read this first.

The first row that fits decides. What no row names is transient, in the words of `shared.postgres_errors`.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg

from exporter.errors import BadMapping, ExportError, SourceAccessRefused, SourceConflict, SourceUnavailable
from exporter.source.columns import hint_for
from shared.postgres_errors import find_row

_MISSING_COLUMN = re.compile(r'column (?:\w+\.)?"?(\w+)"? does not exist')


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFault:
    """One row of the table: SQLSTATEs, or classes of them (two characters), and the error that they become.

    `describe` returns the message; it passes on nothing of the driver's message but names of views and columns, since
    that may quote data.
    """

    sqlstates: tuple[str, ...]
    error: type[ExportError]
    describe: Callable[[asyncpg.PostgresError], str]


def _describe_refusal(error: asyncpg.PostgresError) -> str:
    return f"The source refuses access ({_name_of(error)}): the reader needs CONNECT, USAGE and SELECT on the views."


def _describe_missing_view(error: asyncpg.PostgresError) -> str:
    return (
        f"The source lacks a view ({_identifiers_in(error)}): "
        "the schema contact_history must contain interaction, contact and attachment. "
        "deploy/contact-history/views.sql creates them."
    )


def _describe_missing_column(error: asyncpg.PostgresError) -> str:
    found = _MISSING_COLUMN.search(_identifiers_in(error))
    hint = hint_for(found[1]) if found is not None else None
    advice = f" Where its values are unknown, {hint}." if hint is not None else ""
    return f"A view of the source lacks a column ({_identifiers_in(error)}).{advice}"


def _describe_bad_value(error: asyncpg.PostgresError) -> str:
    return f"A value or column of the source cannot be exported ({_name_of(error)}, SQLSTATE {error.sqlstate})."


_CONFLICT = (
    "The standby cancelled the query, because it conflicted with changes that arrived from the primary. On the "
    "standby, set hot_standby_feedback = on, or a larger max_standby_streaming_delay; or export from the primary."
)


def _describe_transient(error: asyncpg.PostgresError) -> str:
    row = find_row(error)
    meaning = row.meaning if row is not None else "it ended the query"
    return f"The source's PostgreSQL cannot be read now: {meaning} ({_name_of(error)}, SQLSTATE {error.sqlstate})."


TABLE: tuple[SourceFault, ...] = (
    SourceFault(sqlstates=("28", "42501", "3D000"), error=SourceAccessRefused, describe=_describe_refusal),
    SourceFault(sqlstates=("42P01", "3F000"), error=BadMapping, describe=_describe_missing_view),
    SourceFault(sqlstates=("42703",), error=BadMapping, describe=_describe_missing_column),
    SourceFault(sqlstates=("42", "22", "54"), error=BadMapping, describe=_describe_bad_value),
    # Nothing else fails so in a transaction that only reads (PostgreSQL: Handling Query Conflicts).
    SourceFault(sqlstates=("40001", "40P01"), error=SourceConflict, describe=lambda _: _CONFLICT),
)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Raise the driver's errors as SourceUnavailable, SourceConflict, SourceAccessRefused or BadMapping."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise to_export_error(error) from None
    except asyncpg.ClientConfigurationError:
        raise invalid_address() from None
    except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        # (The driver raises the last one when the connection is cut between two steps of a call.)
        raise SourceUnavailable(
            f"The source's PostgreSQL cannot be reached, or the connection was lost ({type(error).__name__})."
        ) from error


def to_export_error(error: asyncpg.PostgresError) -> ExportError:
    """Return what an error of the source's server means for the run."""
    state = error.sqlstate or ""
    for row in TABLE:
        if state.startswith(row.sqlstates):
            return row.error(row.describe(error))
    return SourceUnavailable(_describe_transient(error))


def describe_conflict() -> SourceConflict:
    """Return the error of a query that a standby cancelled."""
    return SourceConflict(_CONFLICT)


def invalid_address() -> SourceAccessRefused:
    """Return the error of an address that is not understood, without the driver's words, which may quote a password."""
    return SourceAccessRefused(
        "The source's address (DSN) is invalid; the form is postgresql://user:password@host:port/database."
    )


def _name_of(error: asyncpg.PostgresError) -> str:
    return type(error).__name__.removesuffix("Error")


def _identifiers_in(error: asyncpg.PostgresError) -> str:
    # The messages for missing relations and columns contain nothing else.
    return str(error.args[0]) if error.args else _name_of(error)
