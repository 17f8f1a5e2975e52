"""Operations on the runs of one tenant."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from history.errors import ManifestMissing, RunEnded, RunInProgress, RunNotFound
from history.recording.projections import TERMINAL_STATES
from history.service.artifacts import ArtifactService
from history.service.downloads import DownloadService
from history.store.run_log_reader import RunLogReader
from history.store.unit_of_work import UnitOfWork
from history.views.facets import count_facets
from history.views.run_details import RunDetails, RunFacts, to_run_details
from history.views.runs import Run, RunCounts, to_run
from history.views.scores import Scores, to_scores
from shared.auth import Identity
from shared.clock import Clock, SystemClock
from shared.events import CancelRun, RunRemoved
from shared.http.lists import Page, PageRequest
from shared.postgres import Record


class RunService:
    """Reads the run log, and cancels and removes runs. Every method raises PostgresUnavailable."""

    def __init__(
        self,
        log: RunLogReader,
        artifacts: ArtifactService,
        downloads: DownloadService,
        *,
        clock: Clock | None = None,
    ) -> None:
        self._log = log
        self._artifacts = artifacts
        self._downloads = downloads
        self._clock = clock or SystemClock()

    async def list_page(self, identity: Identity, request: PageRequest) -> Page[Run]:
        """Return a page of runs."""
        page = await self._log.list_page(identity.tenant_id, request)
        now = self._clock.now()
        return page.map(lambda row: to_run(row, now))

    async def count(self, identity: Identity, filters: Mapping[str, Any]) -> RunCounts:
        """Return the number of runs by state, type and source, each under the other filters."""
        chosen = {
            "state": filters.get("state"),
            "type": [filters["type"]] if "type" in filters else None,
            "source": [filters["source"]] if "source" in filters else None,
        }
        rows = await self._log.count(identity.tenant_id, {k: v for k, v in filters.items() if k not in chosen})
        return RunCounts(**count_facets(rows, chosen))

    async def get(self, identity: Identity, run_id: UUID) -> RunDetails:
        """Return all that is known of a run. Raises RunNotFound."""
        row = await self._find(identity, run_id)
        facts = RunFacts(
            parts=await self._log.list_parts(run_id),
            entries=await self._log.list_entries(run_id),
            course=await self._log.find_course(run_id),
            job_deleted=await self._log.is_job_deleted(row["job_id"]),
            artifacts=await self._artifacts.list_of_run(identity, run_id),
            sets=await self._artifacts.count_sets(run_id),
        )
        return to_run_details(row, facts, self._clock.now())

    async def list_scores(self, identity: Identity, job_id: UUID) -> Scores:
        """Return the accuracy of the estimates of a job's latest runs (rule H5)."""
        return to_scores(await self._log.list_scores(identity.tenant_id, job_id))

    async def cancel(self, work: UnitOfWork, run_id: UUID) -> Run:
        """Request the exporters to cancel a run (rule R6). Raises RunNotFound, or RunEnded."""
        row = await self._find(work.identity, run_id)
        if row["state"] in TERMINAL_STATES:
            raise RunEnded(row["state"])
        work.emit(
            CancelRun(
                job_id=row["job_id"],
                tenant_id=work.identity.tenant_id,
                run_id=run_id,
                reason="requested",
                requested_by=work.identity.user_id,
                requested_at=work.at,
            )
        )
        work.audit("run.cancel", [run_id], before={"state": row["state"]})
        return to_run(row, work.at)

    async def remove(self, work: UnitOfWork, run_id: UUID) -> None:
        """Remove an ended run from the log. Raises RunNotFound, or RunInProgress."""
        row = await self._find(work.identity, run_id)
        if row["state"] not in TERMINAL_STATES:
            raise RunInProgress(run_id)
        who = work.identity
        work.emit(
            RunRemoved(job_id=row["job_id"], tenant_id=who.tenant_id, run_id=run_id, removed_by=who.user_id, at=work.at)
        )
        work.audit("run.remove", [run_id], before={"state": row["state"]})

    async def read_manifest(self, identity: Identity, run_id: UUID) -> bytes:
        """Return a run's manifest as it is stored (rule P5).

        Raises RunNotFound, ManifestMissing where the run has not succeeded, FileMissing, or StoreUnavailable.
        """
        row = await self._find(identity, run_id)
        if row["manifest"] is None:
            raise ManifestMissing
        return await self._downloads.read_whole(row["manifest"])

    async def _find(self, identity: Identity, run_id: UUID) -> Record:
        row = await self._log.find(identity.tenant_id, run_id)
        if row is None:
            raise RunNotFound
        return row
