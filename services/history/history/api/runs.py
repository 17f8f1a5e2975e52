"""Operations on runs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from history.api import examples
from history.api.documents import answers, refused
from history.api.parameters import Cursor, Limit, RunId, Sort, run_filter
from history.service.runs import Browsing
from history.store.listing import RunFilter
from history.views import models
from shared.auth import Identity
from shared.http.identity import require_roles

Reader = Annotated[Identity, require_roles("operator", "downloader", "viewer")]
Operator = Annotated[Identity, require_roles("operator")]


def run_routes(browsing: Browsing) -> APIRouter:
    """Return the routes under /api/v1/runs."""
    api = APIRouter(prefix="/api/v1/runs", tags=["runs"])

    @api.get("", operation_id="listRuns", summary="List runs", responses=answers(examples.RUNS))
    async def list_runs(
        who: Reader,
        which: Annotated[RunFilter, Depends(run_filter)],
        sort: Sort = "-created",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> models.Runs:
        """Active and ended runs, filtered and sorted, a page at a time; stable while runs are added."""
        return await browsing.runs(who, which, sort=sort, limit=limit, cursor=cursor)

    @api.get("/counts", operation_id="countRuns", summary="Count runs", responses=answers(examples.RUN_COUNTS))
    async def count_runs(who: Reader, which: Annotated[RunFilter, Depends(run_filter)]) -> models.RunCounts:
        """How many runs there are of each state, type and source, for filters; of the latest 100,000 at most.

        Each is counted as the other filters say: with `state=failed`, the types of failed runs and the states of all.
        """
        return await browsing.counts(who, which)

    @api.get("/scores", operation_id="listScores", summary="Scores of estimates", responses=answers(examples.SCORES))
    async def list_scores(
        who: Reader, job: Annotated[UUID, Query(description="the job", examples=[examples.JOB_ID])]
    ) -> models.Scores:
        """How good the estimates of a job's latest runs were: error and coverage of the band."""
        return await browsing.scores(who, job)

    @api.get("/{run_id:uuid}", operation_id="getRun", summary="Show a run", responses=answers(examples.DETAILS, 404))
    async def get_run(who: Reader, run_id: RunId) -> models.RunDetails:
        """A run with its frozen settings, timeline, parts, files, progress and estimate."""
        return await browsing.run(who, run_id)

    @api.post(
        "/{run_id:uuid}/cancel",
        operation_id="cancelRun",
        summary="Cancel a run",
        status_code=202,
        responses=answers(examples.RUNNING, 404, 409, status=202),
    )
    async def cancel_run(who: Operator, run_id: RunId) -> models.Run:
        """Ask for a run to be cancelled: it ends as `cancelled` within seconds. Asking twice does no harm."""
        return await browsing.cancel(who, run_id)

    @api.delete(
        "/{run_id:uuid}",
        operation_id="removeRun",
        summary="Take a run out of the log",
        status_code=204,
        responses=refused(404, 409),
    )
    async def remove_run(who: Operator, run_id: RunId) -> None:
        """Take an ended run out of the log; its files keep their own retention."""
        await browsing.remove(who, run_id)

    @api.get(
        "/{run_id:uuid}/manifest",
        operation_id="getManifest",
        summary="Fetch a run's manifest",
        responses=answers(examples.MANIFEST, 404, schema={"type": "object"}),
        response_class=Response,
    )
    async def get_manifest(who: Reader, run_id: RunId) -> Response:
        """The manifest as it lies beside the files: names, rows, sizes, checksums, recipients."""
        return Response(await browsing.manifest(who, run_id), media_type="application/json")

    return api
