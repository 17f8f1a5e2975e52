"""Lists as they are asked for: filters, orders and pages, to SQL; every piece of it from the tables here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

_DURATION = "coalesce(extract(epoch FROM ended_at - started_at), -1)::float8"

# What lists may be sorted by: the SQL expression and the type of its values in a cursor. NULL sorts as least. Each has
# an index (tenant_id, expression, id).
RUN_SORTS = {
    "created": ("created_at", "timestamptz"),
    "started": ("coalesce(started_at, '-infinity')", "timestamptz"),
    "ended": ("coalesce(ended_at, '-infinity')", "timestamptz"),
    "duration": (_DURATION, "float8"),
    "title": ("coalesce(title, '')", "text"),
    "state": ("state", "text"),
    "type": ("coalesce(type, '')", "text"),
    "source": ("coalesce(source, '')", "text"),
    "rows": ("coalesce(rows, -1)", "bigint"),
    "files": ("files::bigint", "bigint"),
}
ARTIFACT_SORTS = {
    "created": ("created_at", "timestamptz"),
    "expires": ("created_at", "timestamptz"),
    "name": ("name", "text"),
    "title": ("title", "text"),
    "type": ("type", "text"),
    "size": ("bytes_packed", "bigint"),
    "state": ("state", "text"),
}
_RUN_FILTERS = {
    "job_id": "job_id = {}::uuid",
    "states": "state = ANY({}::text[])",
    "type": "type = {}::text",
    "source": "source = {}::text",
    "since": "created_at >= {}::timestamptz",
    "before": "created_at < {}::timestamptz",
    "longer_than": _DURATION + " >= {}::float8",
    "with_files": "(files > 0) = {}::boolean",
    "text": "title ILIKE {}::text",
}
_ARTIFACT_FILTERS = {
    "job_id": "job_id = {}::uuid",
    "run_id": "run_id = {}::uuid",
    "type": "type = {}::text",
    "state": "state = {}::text",
    "since": "created_at >= {}::timestamptz",
    "before": "created_at < {}::timestamptz",
    "text": "(name ILIKE {0}::text OR title ILIKE {0}::text)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which rows of a sorted list: `after` is the sort value (as text) and id of the last row seen."""

    sort: str
    descending: bool
    limit: int
    after: tuple[str, UUID] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs; None does not filter. `longer_than` is in seconds, and of runs that have ended."""

    job_id: UUID | None = None
    states: Sequence[str] | None = None
    type: str | None = None
    source: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    longer_than: float | None = None
    with_files: bool | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFilter:
    """Which files; None does not filter."""

    job_id: UUID | None = None
    run_id: UUID | None = None
    type: str | None = None
    state: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    text: str | None = None


def run_page(statement: str, tenant_id: UUID, which: RunFilter, page: Page) -> tuple[str, list[object]]:
    """Return the statement, filled in, that gives a page of runs and one row more, with its values."""
    return _paged(_filtered(statement, tenant_id, which, _RUN_FILTERS), RUN_SORTS[page.sort], "run_id", page)


def artifact_page(statement: str, tenant_id: UUID, which: ArtifactFilter, page: Page) -> tuple[str, list[object]]:
    """Return the statement, filled in, that gives a page of files and one row more, with its values."""
    filtered = _filtered(statement, tenant_id, which, _ARTIFACT_FILTERS)
    return _paged(filtered, ARTIFACT_SORTS[page.sort], "artifact_id", page)


def run_counts(statement: str, tenant_id: UUID, which: RunFilter) -> tuple[str, list[object]]:
    """Return the statement that counts runs, with its values; what is counted by does not filter here."""
    return _filtered(statement, tenant_id, replace(which, states=None, type=None, source=None), _RUN_FILTERS)


def artifact_counts(statement: str, tenant_id: UUID, which: ArtifactFilter) -> tuple[str, list[object]]:
    """Return the statement that counts files, with its values; what is counted by does not filter here."""
    return _filtered(statement, tenant_id, replace(which, type=None, state=None), _ARTIFACT_FILTERS)


def _filtered(
    statement: str, tenant_id: UUID, which: RunFilter | ArtifactFilter, known: Mapping[str, str]
) -> tuple[str, list[object]]:
    """Name only the filters that are set: a plan then knows of each which index it may use."""
    values: list[object] = [tenant_id]
    conditions = ""
    for name, condition in known.items():
        value = getattr(which, name)
        if value is not None:
            values.append(_like(value) if name == "text" else value)
            conditions += f" AND {condition.format(f'${len(values)}')}"
    return statement.replace("{conditions}", conditions), values


def _paged(filtered: tuple[str, list[object]], sort: tuple[str, str], tie: str, page: Page) -> tuple[str, list[object]]:
    statement, values = filtered
    (key, kind), after = sort, ""
    if page.after is not None:
        values = [*values, *page.after]
        place = f"(${len(values) - 1}::text::{kind}, ${len(values)}::uuid)"
        after = f" AND ({key}, {tie}) {'<' if page.descending else '>'} {place}"
    filled = (
        statement.replace("{after}", after)
        .replace("{key}", key)
        .replace("{direction}", "DESC" if page.descending else "ASC")
        # In the text, so that a plan that is kept knows how few rows are wanted.
        .replace("{limit}", str(int(page.limit) + 1))
    )
    return filled, values


def _like(text: str) -> str:
    return "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
