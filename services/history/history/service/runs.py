"""Browsing: the run log, as somebody of one tenant may see it, and what they may ask of a run."""

from typing import Any
from uuid import UUID

from history.errors import PlaceNotUnderstood
from history.recording.projections import TERMINAL_STATES
from history.service.artifacts import Filing
from history.service.cursors import invalid_cursor, next_cursor, page_of
from history.service.downloads import Downloads
from history.store.files import Files
from history.store.listing import RUN_SORTS, RunFilter
from history.store.reading import Reading
from history.store.writing import Requests
from history.views import models
from history.views.documents import details_view, facets, run_view, score_views
from shared.auth import Identity
from shared.clock import Clock, SystemClock
from shared.events import CancelRun, RunRemoved
from shared.http.problems import Problem, ProblemType, not_found
from shared.postgres import Record


class Browsing:
    """What the API's operations on runs do."""

    def __init__(
        self,
        reading: Reading,
        filing: Filing,
        downloads: Downloads,
        *,
        requests: Requests,
        files: Files,
        clock: Clock | None = None,
    ) -> None:
        self._reading = reading
        self._filing = filing
        self._downloads = downloads
        self._requests = requests
        self._files = files
        self._clock = clock or SystemClock()

    async def runs(self, who: Identity, which: RunFilter, *, sort: str, limit: int, cursor: str | None) -> models.Runs:
        """Return a page of the tenant's runs. Raises Problem 422 for a bad sort or cursor."""
        page = page_of(sort, RUN_SORTS, limit=limit, cursor=cursor)
        try:
            rows = await self._reading.runs(who.tenant_id, which, page)
        except PlaceNotUnderstood:
            raise invalid_cursor() from None
        now = self._clock.now()
        return models.Runs(items=[run_view(row, now) for row in rows[:limit]], next=next_cursor(rows, page, "run_id"))

    async def counts(self, who: Identity, which: RunFilter) -> models.RunCounts:
        """Return how many runs there are of each state, type and source, each under the other filters."""
        rows = await self._reading.counts(who.tenant_id, which)
        chosen = {
            "state": which.states,
            "type": [which.type] if which.type is not None else None,
            "source": [which.source] if which.source is not None else None,
        }
        return models.RunCounts(**facets(rows, chosen))

    async def run(self, who: Identity, run_id: UUID) -> models.RunDetails:
        """Return all that is known of a run. Raises Problem 404."""
        row = await self._run(who, run_id)
        beside: dict[str, Any] = {
            "parts": await self._reading.parts(run_id),
            "entries": await self._reading.entries(run_id),
            "course": await self._reading.course(run_id),
            "job_deleted": await self._reading.job_deleted(row["job_id"]),
            "artifacts": await self._filing.of_run(who, run_id),
            "sets": await self._filing.sets_of_run(run_id),
        }
        return details_view(row, self._clock.now(), **beside)

    async def scores(self, who: Identity, job_id: UUID) -> models.Scores:
        """Return how good the estimates of a job's latest runs were (H5)."""
        return score_views(await self._reading.scores(who.tenant_id, job_id))

    async def cancel(self, who: Identity, run_id: UUID) -> models.Run:
        """Ask the exporters to cancel a run. Raises Problem 404, or 409 when it has ended."""
        row = await self._run(who, run_id)
        if row["state"] in TERMINAL_STATES:
            raise Problem(ProblemType.RUN_ENDED, f"This run has ended already: {row['state']}.")
        now = self._clock.now()
        command = CancelRun(
            job_id=row["job_id"],
            tenant_id=who.tenant_id,
            run_id=run_id,
            reason="requested",
            requested_by=who.user_id,
            requested_at=now,
        )
        await self._requests.send([command], now)
        await self._files.note(who, "cancel-run", [run_id], before=row["state"])
        return run_view(row, now)

    async def remove(self, who: Identity, run_id: UUID) -> None:
        """Take an ended run out of the log. Raises Problem 404, or 409 while it has not ended."""
        row = await self._run(who, run_id)
        if row["state"] not in TERMINAL_STATES:
            raise Problem(ProblemType.RUN_IN_PROGRESS, "This run has not ended; cancel it first.")
        now = self._clock.now()
        removed = RunRemoved(
            job_id=row["job_id"], tenant_id=who.tenant_id, run_id=run_id, removed_by=who.user_id, at=now
        )
        await self._requests.send([removed], now)
        await self._files.note(who, "remove-run", [run_id], before=row["state"])

    async def manifest(self, who: Identity, run_id: UUID) -> bytes:
        """Return a run's manifest as it lies in the store. Raises Problem 404."""
        row = await self._run(who, run_id)
        if row["manifest"] is None:
            raise Problem(ProblemType.NO_MANIFEST, "This run has no manifest: it has not succeeded.")
        return await self._downloads.small(row["manifest"])

    async def _run(self, who: Identity, run_id: UUID) -> Record:
        row = await self._reading.run(who.tenant_id, run_id)
        if row is None:
            raise not_found("run")
        return row
