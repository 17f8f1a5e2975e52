"""Runs requested now, until history knows them: a requested run can be read and cancelled at once."""

from uuid import UUID

from job_api.store import Database, UnitOfWork, runs
from job_api.store.runs import RequestedRun
from shared.auth import Identity
from shared.events import CancelRun


class RequestedRunService:
    """The requested runs of the caller's tenant that have not ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, identity: Identity, run_id: UUID) -> RequestedRun | None:
        """Return a requested run, or None if there is none or it has ended."""
        async with self._database.read(identity.tenant_id) as database:
            return await runs.find_requested(database, identity.tenant_id, run_id)

    async def cancel(self, work: UnitOfWork, run_id: UUID) -> RequestedRun | None:
        """Request the end of a run; return it, or None if there is none or it has ended."""
        run = await runs.find_requested(work.connection, work.actor.tenant_id, run_id)
        if run is not None:
            command = CancelRun(
                job_id=run.job_id,
                tenant_id=work.actor.tenant_id,
                run_id=run_id,
                reason="requested",
                requested_by=work.actor.user_id,
                requested_at=work.at,
            )
            work.emit(command)
            work.audit("run.cancel", run_id, before={"state": run.state})
        return run
