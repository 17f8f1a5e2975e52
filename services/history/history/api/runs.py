"""Operations on runs."""

from fastapi import Request
from starlette.responses import Response

from history.api import examples
from history.api.dependencies import AnyRole, JobQuery, Operator, RunId, Runs, Units
from history.api.queries import RunFilters, RunQuery
from history.views.manifest import Manifest
from history.views.run_details import RunDetails
from history.views.runs import Run, RunCounts, RunPage
from history.views.scores import Scores
from shared.http.documents import to_response
from shared.http.openapi import empty_response, json_response
from shared.http.parameters import parse_query, query_parameters
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

router = create_router("/api/v1/runs", "runs")
_MANIFEST_ERRORS = error_responses(ProblemType.NOT_FOUND, ProblemType.NO_MANIFEST, ProblemType.FILE_MISSING)


@router.get(
    "",
    operation_id="listRuns",
    summary="List runs",
    response_model=RunPage,
    responses=json_response(examples.RUNS) | error_responses(),
    openapi_extra=query_parameters(RunQuery),
)
async def list_runs(identity: AnyRole, request: Request, runs: Runs) -> Response:
    """Return a page of active and ended runs, filtered and sorted; pages are stable while runs are added."""
    query = parse_query(RunQuery, request)
    page = await runs.list_page(identity, query.to_page_request())
    return to_response(RunPage(items=page.items, next=query.next_cursor(page)))


@router.get(
    "/counts",
    operation_id="countRuns",
    summary="Count runs",
    response_model=RunCounts,
    responses=json_response(examples.RUN_COUNTS) | error_responses(),
    openapi_extra=query_parameters(RunFilters),
)
async def count_runs(identity: AnyRole, request: Request, runs: Runs) -> Response:
    """Return the number of runs by state, type and source, for filters; of the latest 100,000 at most.

    Each is counted under the other filters: `state=failed` gives the types of failed runs, and all states.
    """
    return to_response(await runs.count(identity, parse_query(RunFilters, request).to_filters()))


@router.get(
    "/scores",
    operation_id="listScores",
    summary="List the scores of a job's estimates",
    responses=json_response(examples.SCORES) | error_responses(),
)
async def list_scores(identity: AnyRole, job_id: JobQuery, runs: Runs) -> Scores:
    """Return the accuracy of the estimates of a job's latest runs: their error, and the coverage of their band."""
    return await runs.list_scores(identity, job_id)


@router.get(
    "/{run_id:uuid}",
    operation_id="getRun",
    summary="Get a run",
    response_model=RunDetails,
    responses=json_response(examples.DETAILS) | error_responses(ProblemType.NOT_FOUND),
)
async def get_run(identity: AnyRole, run_id: RunId, runs: Runs) -> Response:
    """Return a run with its frozen settings, timeline, parts, files, progress and estimates."""
    return to_response(await runs.get(identity, run_id))


@router.post(
    "/{run_id:uuid}/cancel",
    operation_id="cancelRun",
    summary="Cancel a run",
    status_code=202,
    response_model=Run,
    responses=json_response(examples.RUNNING, status=202)
    | error_responses(ProblemType.NOT_FOUND, ProblemType.RUN_ENDED),
)
async def cancel_run(identity: Operator, *, run_id: RunId, runs: Runs, units: Units) -> Response:
    """Request that a run be cancelled: it ends as `cancelled` within seconds. Requesting it again does no harm."""
    async with units.begin(identity) as work:
        return to_response(await runs.cancel(work, run_id), status=202)


@router.delete(
    "/{run_id:uuid}",
    operation_id="removeRun",
    summary="Remove a run from the log",
    status_code=204,
    responses=error_responses(ProblemType.NOT_FOUND, ProblemType.RUN_IN_PROGRESS),
)
async def remove_run(identity: Operator, *, run_id: RunId, runs: Runs, units: Units) -> None:
    """Remove an ended run from the log; its files are kept until they expire."""
    async with units.begin(identity) as work:
        await runs.remove(work, run_id)


@router.head(
    "/{run_id:uuid}/manifest",
    operation_id="headManifest",
    summary="Get the headers of a run's manifest",
    responses=empty_response(200, "The manifest's headers", "Content-Length") | _MANIFEST_ERRORS,
)
@router.get(
    "/{run_id:uuid}/manifest",
    operation_id="getManifest",
    summary="Get a run's manifest",
    response_model=Manifest,
    responses=json_response(examples.MANIFEST, headers=("Content-Length",)) | _MANIFEST_ERRORS,
)
async def get_manifest(identity: AnyRole, run_id: RunId, runs: Runs) -> Response:
    """Return the manifest as it is stored next to the files: names, rows, sizes, checksums, recipients."""
    return Response(await runs.read_manifest(identity, run_id), media_type="application/json")
