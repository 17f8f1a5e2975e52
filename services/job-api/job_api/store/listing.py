"""The list of jobs: filter, sort and page by what it shows; a page costs the same at any depth."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from job_api.store.database import SQL
from job_api.store.jobs import JobView, run_of
from job_api.store.known import KnownJobs
from shared.postgres import Connection

# Column and the type that a cursor's text is read back as; each has an index (tenant_id, column, job_id).
SORTS = {
    "created_at": ("job.created_at", "timestamptz"),
    "title": ("job.title_key", "text"),
    "source": ("job.source", "text"),
    "type": ("job.type", "text"),
    "schedule": ("job.schedule_kind", "text"),
    "state": ("job.state", "text"),
    "status": ("job.status", "text"),
    "last_run": ("job.last_run_key", "timestamptz"),
    "next_run": ("job.next_run_key", "timestamptz"),
}
_FILTERS = {
    "state": "job.state = {}",
    "status": "job.status = {}",
    "type": "job.type = {}",
    "source": "job.source = {}",
    "schedule": "job.schedule_kind = {}",
    "last_run_from": "job.last_run_key >= ({})::timestamptz",
    "next_run_until": "job.next_run_key < ({})::timestamptz",
    "search": "position(lower({}) IN lower(job.title || ' ' || job.description)) > 0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody wants to see of the jobs; `after` is the sort value and id that the page before ended with."""

    sort: str
    descending: bool
    filters: dict[str, str]
    limit: int
    after: tuple[str, UUID] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of jobs, and where the next begins, if there is one."""

    views: list[JobView]
    after: tuple[str, UUID] | None


async def page(database: Connection, tenant_id: UUID, wish: Wish, known: KnownJobs) -> Page:
    """Return a page of a tenant's jobs, over a connection that has no scope yet."""
    column, kind = SORTS[wish.sort]
    values: list[Any] = [tenant_id]
    conditions = []
    for name, value in wish.filters.items():
        values.append(value)
        conditions.append(_FILTERS[name].format(f"${len(values)}::text"))
    if wish.after is not None:
        values += wish.after
        where = f"(${len(values) - 1}::text::{kind}, ${len(values)}::uuid)"
        conditions.append(f"({column}, job.job_id) {'<' if wish.descending else '>'} {where}")
    statement = SQL["jobs"].format(
        sort=column,
        # In the text, so that a plan that is kept knows how few rows are wanted.
        limit=int(wish.limit) + 1,
        direction="DESC" if wish.descending else "ASC",
        conditions="".join(f" AND {condition}" for condition in conditions),
    )
    rows = await database.fetch(statement, *values)
    shown = rows[: wish.limit]
    more = (shown[-1]["sorted_by"], shown[-1]["job_id"]) if len(rows) > len(shown) else None
    jobs = await known.of(database, tenant_id, shown)
    views = [
        JobView(job, run_of(row), row["last_run_at"], row["next_run_at"])
        for row in shown
        if (job := jobs.get(row["job_id"])) is not None
    ]
    return Page(views, more)
