"""A job as a row of the list. The list is requested again and again, so rendered rows are cached."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from markupsafe import Markup

from job_api.domain import find_refusals
from job_api.domain.schedules import describe_schedule
from job_api.pages.kit.labels import SOURCE_LABELS, TYPE_LABELS
from job_api.pages.kit.rendering import TEMPLATES
from job_api.store import JobView, RunSummary

ROWS_CACHED = 4096
"""Rendered rows kept in memory, about 2 KB each: 80 full pages of jobs as they are now."""
_TOOLBAR_ACTIONS = frozenset({"edit", "run", "delete", "suspend", "resume"})


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as the list shows it; equal rows are rendered once.

    `switch_refusal` says why the job can be neither suspended nor resumed, `denial` why the reader may change no job;
    `refusals` are actions of the toolbar that are refused, each with the reason. `risk` says what is wrong with its
    certificates, or soon will be.
    """

    id: str
    title: str
    description: str
    source: str
    type: str
    schedule: str
    latest: RunSummary | None
    last_run_at: datetime | None
    next_run_at: datetime | None
    active: bool
    state_reason: str | None
    switch_refusal: str | None
    denial: str | None
    refusals: tuple[tuple[str, str], ...]
    risk: str = ""

    @classmethod
    def from_view(cls, view: JobView, now: datetime, denial: str | None) -> "JobRow":
        """Return a job as a row; `denial` says why the reader may not change jobs, and is None for those who may."""
        job, refused = view.job, find_refusals(view.job, now=now, run_in_progress=view.run_in_progress)
        active = job.state == "active"
        return cls(
            id=str(job.job_id),
            title=job.settings.title,
            description=job.description,
            source=SOURCE_LABELS.get(job.settings.source, job.settings.source),
            type=TYPE_LABELS[job.settings.type],
            schedule=describe_schedule(job.schedule),
            latest=view.latest,
            last_run_at=view.last_run_at,
            next_run_at=view.next_run_at,
            active=active,
            state_reason=job.state_reason,
            switch_refusal=denial or refused.get("suspend" if active else "resume"),
            denial=denial,
            refusals=() if denial else tuple((name, why) for name, why in refused.items() if name in _TOOLBAR_ACTIONS),
        )


@lru_cache(maxsize=ROWS_CACHED)
def render_row(row: JobRow) -> Markup:
    """Return a row as HTML, which depends on nothing but the row."""
    return Markup(TEMPLATES.get_template("jobs/row.html").render(row=row))  # noqa: S704 (a template's own output)
