"""Jobs as responses: plain documents, rendered straight to JSON, as lists of jobs are this API's most frequent answer.

Their form is `job_documents.Job`; tests compare each answer with it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cachetools import FIFOCache
from fastapi import Request
from pydantic_core import to_json, to_jsonable_python
from starlette.responses import Response

from job_api.domain import Job, find_refusals
from job_api.domain.schedules import describe_schedule
from job_api.queries import JobQuery
from job_api.service import JobService
from job_api.store import JobView, RunSummary
from shared.auth import Identity
from shared.events import Schedule
from shared.http.conditional import to_etag
from shared.http.idempotency import RenderedResponse
from shared.http.parameters import parse_query

_MAX_CACHED = 20_000
_NEVER = datetime.max.replace(tzinfo=UTC)
_JSON = "application/json"


class JobResponder:
    """Reads jobs and renders them as responses. One dependency for both, as each costs every request time."""

    def __init__(self, jobs: JobService) -> None:
        self._jobs = jobs
        self._cache = JobJsonCache()

    async def get_job(self, identity: Identity, job_id: UUID) -> Response:
        """Return the response with one job. Raises NotFound."""
        return self.respond(await self._jobs.get(identity, job_id))

    async def list_jobs(self, identity: Identity, request: Request) -> Response:
        """Return the response with a page of jobs. Raises RequestValidationError, and Problem 422 for a bad cursor."""
        query = parse_query(JobQuery, request)
        page = await self._jobs.list_page(identity, query.to_page_request())
        content = self._cache.to_page(page.items, query.next_cursor(page), self._jobs.now())
        return Response(content, media_type=_JSON)

    def respond(self, view: JobView) -> Response:
        """Return the response with a job, its version in the ETag."""
        headers = {"ETag": to_etag(view.job.version)}
        return Response(self._cache.to_json(view, self._jobs.now()), headers=headers, media_type=_JSON)


class JobJsonCache:
    """Jobs as JSON; a job that has not changed since it was last rendered is taken from the cache."""

    def __init__(self) -> None:
        self._known: FIFOCache[UUID, tuple[JobView, datetime, bytes]] = FIFOCache(_MAX_CACHED)

    def to_page(self, views: Sequence[JobView], next_cursor: str | None, now: datetime) -> bytes:
        """Return a page of jobs as JSON."""
        items = b",".join([self.to_json(view, now) for view in views])
        return b'{"items":[' + items + b'],"next":' + to_json(next_cursor) + b"}"

    def to_json(self, view: JobView, now: datetime) -> bytes:
        """Return a job as JSON."""
        known = self._known.get(view.job.job_id)
        if known is not None and now < known[1] and known[0] == view:
            return known[2]
        content = to_json(to_document(view, now))
        self._known[view.job.job_id] = (view, _find_expiry(view.job, now), content)
        return content


def _find_expiry(job: Job, now: datetime) -> datetime:
    """Return when time alone changes which actions are refused: at the start of a one-time job."""
    waits = job.schedule.kind == "once" and job.schedule.start > now
    return job.schedule.start if waits else _NEVER


def render_created_job(view: JobView) -> RenderedResponse:
    """Return the response to a request that created a job."""
    headers = {"ETag": to_etag(view.job.version), "Location": f"/api/v1/jobs/{view.job.job_id}"}
    return RenderedResponse(to_jsonable_python(to_document(view, view.job.created_at)), headers=headers)


def to_document(view: JobView, now: datetime) -> dict[str, Any]:
    """Return a job as the API shows it."""
    job, settings, latest = view.job, view.job.settings, view.latest
    return {
        "id": job.job_id,
        "version": job.version,
        "title": settings.title,
        "description": job.description,
        "source": settings.source,
        "type": settings.type,
        "media_types": settings.media_types,
        "schedule": _to_schedule(job.schedule),
        "schedule_words": describe_schedule(job.schedule),
        "timeframe": settings.timeframe,
        "filter": settings.filter or (),
        "split_size": settings.split_size,
        "certificates": settings.certificates,
        "compression": settings.compression,
        "cipher": settings.cipher,
        "catch_up": job.catch_up,
        "overlap": job.overlap,
        "attempts": settings.attempts,
        "delivery": settings.delivery,
        "state": job.state,
        "state_reason": job.state_reason,
        "next_run_at": view.next_run_at,
        "last_run_at": view.last_run_at,
        "latest_run": _to_run(latest) if latest is not None else None,
        "refusals": find_refusals(job, now=now, run_in_progress=view.run_in_progress),
        "created_at": job.created_at,
        "saved_at": job.saved_at,
    }


def _to_schedule(schedule: Schedule) -> dict[str, Any]:
    return {
        "kind": schedule.kind,
        "every": None if schedule.kind == "once" else schedule.every,
        "immediately": schedule.immediately,
        "start": schedule.start,
    }


def _to_run(run: RunSummary) -> dict[str, Any]:
    return {
        "id": run.run_id,
        "state": run.state,
        "slot": run.slot,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "message": run.message,
        "progress": run.progress,
        "estimate": run.estimate,
    }
