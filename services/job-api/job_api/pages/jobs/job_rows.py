"""A job as a row of the list; the list is asked for again and again, so rows are rendered once and kept by heart."""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from markupsafe import Markup

from job_api.domain import refusals
from job_api.domain.catalog import SOURCES
from job_api.domain.schedules import in_words
from job_api.pages.kit.rendering import TEMPLATES
from job_api.store import JobView, RunSummary

SOURCE_WORDS = {source.source_id: source.title for source in SOURCES}
TYPE_WORDS = {kind: words for source in SOURCES for kind, words in source.types}
_TOOLS = frozenset({"edit", "run", "delete"})


@dataclass(frozen=True, slots=True)
class Row:
    """A job as the list shows it."""

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
    reason: str | None
    stuck: str | None
    refused: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, view: JobView, now: datetime, denied: str | None) -> "Row":
        """Return a job as it is shown to somebody who may change it, or is `denied` with these words."""
        job, refused = view.job, refusals(view.job, now=now, busy=view.busy)
        active = job.state == "active"
        return cls(
            id=str(job.job_id),
            title=job.settings.title,
            description=job.description,
            source=SOURCE_WORDS.get(job.settings.source, job.settings.source),
            type=TYPE_WORDS[job.settings.type],
            schedule=in_words(job.schedule),
            latest=view.latest,
            last_run_at=view.last_run_at,
            next_run_at=view.next_run_at,
            active=active,
            reason=job.state_reason,
            stuck=denied or refused.get("suspend" if active else "resume"),
            refused=() if denied else tuple((name, why) for name, why in refused.items() if name in _TOOLS),
        )


@lru_cache(maxsize=4096)
def rendered(row: Row) -> Markup:
    """Return a row as HTML; everything it depends on is in `row`."""
    return Markup(TEMPLATES.get_template("job_row.html").render(row=row))  # noqa: S704 (a template's own output)


TEMPLATES.filters["row"] = rendered
