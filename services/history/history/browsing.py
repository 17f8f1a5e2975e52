"""Browsing: the run log and the files, as somebody of one tenant may see them, and what they may ask of a run."""

from datetime import timedelta
from uuid import UUID

from history.api import models
from history.cursors import invalid_cursor, next_cursor, page_of
from history.downloads import Download, Downloads, Headers
from history.errors import PlaceNotUnderstood
from history.projections import TERMINAL
from history.store.reading import ARTIFACT_SORTS, RUN_SORTS, ArtifactFilter, Page, Reading, RunFilter
from history.store.writing import Requests
from history.views import artifact_view, details_view, run_view
from shared.auth import Identity
from shared.clock import Clock, SystemClock
from shared.events import CancelRun
from shared.observe import DOWNLOADS
from shared.postgres import Record
from shared.problems import Problem
from shared.web import not_found

_ALL = 1000


class Browsing:
    """What the API's operations do."""

    def __init__(
        self,
        reading: Reading,
        requests: Requests,
        downloads: Downloads,
        *,
        kept: timedelta,
        clock: Clock | None = None,
    ) -> None:
        self._reading = reading
        self._downloads = downloads
        self._requests = requests
        self._kept = kept
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

    async def run(self, who: Identity, run_id: UUID) -> models.RunDetails:
        """Return all that is known of a run. Raises Problem 404."""
        row = await self._run(who, run_id)
        files = await self._reading.artifacts(
            who.tenant_id, ArtifactFilter(run_id=run_id), Page(sort="name", descending=False, limit=_ALL)
        )
        now = self._clock.now()
        return details_view(
            row,
            now,
            parts=await self._reading.parts(run_id),
            entries=await self._reading.entries(run_id),
            artifacts=[artifact_view(file, now, self._kept) for file in files[:_ALL]],
        )

    async def cancel(self, who: Identity, run_id: UUID) -> models.Run:
        """Ask the exporters to cancel a run. Raises Problem 404, or 409 when it has ended."""
        row = await self._run(who, run_id)
        if row["state"] in TERMINAL:
            raise Problem(409, "run-ended", f"This run has ended already: {row['state']}.")
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
        return run_view(row, now)

    async def manifest(self, who: Identity, run_id: UUID) -> bytes:
        """Return a run's manifest as it lies in the store. Raises Problem 404."""
        row = await self._run(who, run_id)
        if row["manifest"] is None:
            raise Problem(404, "no-manifest", "This run has no manifest: it has not succeeded.")
        return await self._downloads.small(row["manifest"])

    async def artifacts(
        self, who: Identity, which: ArtifactFilter, *, sort: str, limit: int, cursor: str | None
    ) -> models.Artifacts:
        """Return a page of the tenant's files. Raises Problem 422 for a bad sort or cursor."""
        page = page_of(sort, ARTIFACT_SORTS, limit=limit, cursor=cursor)
        try:
            rows = await self._reading.artifacts(who.tenant_id, which, page)
        except PlaceNotUnderstood:
            raise invalid_cursor() from None
        now = self._clock.now()
        items = [artifact_view(row, now, self._kept) for row in rows[:limit]]
        return models.Artifacts(items=items, next=next_cursor(rows, page, "artifact_id"))

    async def artifact(self, who: Identity, artifact_id: UUID) -> models.Artifact:
        """Return one file. Raises Problem 404."""
        return artifact_view(await self._artifact(who, artifact_id), self._clock.now(), self._kept)

    async def download(self, who: Identity, artifact_id: UUID, asked: Headers) -> Download:
        """Return a file as a request asks for it; counted once it begins at the first byte.

        Raises Problem 404, 410 when it is gone, 416 for a range outside.
        """
        row = await self._artifact(who, artifact_id)
        state = artifact_view(row, self._clock.now(), self._kept).state
        if state != "available":
            raise Problem(410, f"artifact-{state}", f"This file is no longer there: it has been {_GONE[state]}.")
        found = await self._downloads.file(row, asked)
        if found.start == 0:
            await self._reading.count_download(artifact_id)
            DOWNLOADS.labels("file").inc()
        return found

    async def _run(self, who: Identity, run_id: UUID) -> Record:
        row = await self._reading.run(who.tenant_id, run_id)
        if row is None:
            raise not_found("run")
        return row

    async def _artifact(self, who: Identity, artifact_id: UUID) -> Record:
        row = await self._reading.artifact(who.tenant_id, artifact_id)
        if row is None:
            raise not_found("artifact")
        return row


_GONE = {"expired": "removed because its time was over", "deleted": "deleted by somebody"}
