"""Jobs as they are answered: plain documents, straight to JSON, as lists of them are what this API is asked for most.

Their form is `views.JobOut`; the tests hold every answer against it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from starlette.responses import Response

from job_api.domain import Job, refusals
from job_api.domain.schedules import in_words
from job_api.store import JobView, RunSummary
from shared.events import Schedule

_KNOWN_MOST = 20_000
_NEVER = datetime.max.replace(tzinfo=UTC)


def job_document(view: JobView, now: datetime) -> dict[str, Any]:
    """Return a job as it is answered."""
    job, settings, latest = view.job, view.job.settings, view.latest
    return {
        "id": job.job_id,
        "version": job.version,
        "title": settings.title,
        "description": job.description,
        "source": settings.source,
        "type": settings.type,
        "media_types": settings.media_types,
        "schedule": _schedule(job.schedule),
        "schedule_words": in_words(job.schedule),
        "timeframe": settings.timeframe,
        "split_size": settings.split_size,
        "certificates": settings.certificates,
        "compression": settings.compression,
        "cipher": settings.cipher,
        "catch_up": job.catch_up,
        "overlap": job.overlap,
        "attempts": settings.attempts,
        "state": job.state,
        "state_reason": job.state_reason,
        "next_run_at": view.next_run_at,
        "last_run_at": view.last_run_at,
        "latest_run": _run(latest) if latest is not None else None,
        "refusals": refusals(job, now=now, busy=view.busy),
        "created_at": job.created_at,
        "saved_at": job.saved_at,
    }


class Shown:
    """Jobs as JSON, by heart: who looks again has only those written anew that have changed."""

    def __init__(self) -> None:
        self._known: dict[UUID, tuple[JobView, datetime, bytes]] = {}

    def page(self, views: Sequence[JobView], following: str | None, now: datetime) -> Response:
        """Return a page of jobs as an answer; `following` is the cursor of the next."""
        items = b",".join([self.json(view, now) for view in views])
        return Response(b'{"items":[' + items + b'],"next":' + to_json(following) + b"}", media_type="application/json")

    def json(self, view: JobView, now: datetime) -> bytes:
        """Return a job as it is answered."""
        known = self._known.get(view.job.job_id)
        if known is not None and now < known[1] and known[0] == view:
            return known[2]
        if len(self._known) >= _KNOWN_MOST:
            self._known.clear()
        written = to_json(job_document(view, now))
        self._known[view.job.job_id] = (view, _good_until(view.job, now), written)
        return written


def _good_until(job: Job, now: datetime) -> datetime:
    """Return when time alone changes what can be done with a job: at the start of one that runs once."""
    waits = job.schedule.kind == "once" and job.schedule.start > now
    return job.schedule.start if waits else _NEVER


def json_of(document: dict[str, Any], *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return a document as an answer."""
    return Response(to_json(document), status, headers, "application/json")


def _schedule(schedule: Schedule) -> dict[str, Any]:
    return {
        "kind": schedule.kind,
        "every": None if schedule.kind == "once" else schedule.every,
        "immediately": schedule.immediately,
        "start": schedule.start,
    }


def _run(run: RunSummary) -> dict[str, Any]:
    return {
        "id": run.run_id,
        "state": run.state,
        "slot": run.slot,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "message": run.message,
        "progress": run.progress,
        "eta_seconds": run.eta_seconds,
        "eta_low": run.eta_low,
        "eta_high": run.eta_high,
        "estimated_at": run.estimated_at,
    }
