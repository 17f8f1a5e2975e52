"""Operations on artifacts: the list, downloads and deletion."""

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from history.api import examples
from history.api.dependencies import (
    AnyRole,
    ArtifactId,
    ArtifactIds,
    Artifacts,
    Downloader,
    Downloads,
    Operator,
    Units,
)
from history.api.files import GET_FILE, HEAD_FILE, build_disposition, respond_with_file
from history.api.queries import ArtifactFilters, ArtifactQuery
from history.views.artifacts import Artifact, ArtifactCounts, ArtifactPage
from shared.http.admission import take_place
from shared.http.documents import to_response
from shared.http.openapi import FILE_MEDIA_TYPE, empty_response, file_response, json_response
from shared.http.parameters import parse_query, query_parameters
from shared.http.places import Use
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

router = create_router("/api/v1/artifacts", "artifacts")
_ARCHIVE_HEADERS = {"Content-Disposition": build_disposition("sluice-files.zip")}
_ARCHIVE_ERRORS = error_responses(
    ProblemType.NOT_FOUND,
    ProblemType.FILE_MISSING,
    ProblemType.ARTIFACT_EXPIRED,
    ProblemType.ARTIFACT_DELETED,
    ProblemType.FILE_DAMAGED,
)


@router.get(
    "",
    operation_id="listArtifacts",
    summary="List files",
    response_model=ArtifactPage,
    responses=json_response(examples.ARTIFACTS) | error_responses(),
    openapi_extra=query_parameters(ArtifactQuery),
)
async def list_artifacts(identity: AnyRole, request: Request, artifacts: Artifacts) -> Response:
    """Return a page of finished files with the days that each remains, filtered and sorted."""
    query = parse_query(ArtifactQuery, request)
    page = await artifacts.list_page(identity, query.to_page_request())
    return to_response(ArtifactPage(items=page.items, next=query.next_cursor(page)))


@router.get(
    "/counts",
    operation_id="countArtifacts",
    summary="Count files",
    response_model=ArtifactCounts,
    responses=json_response(examples.ARTIFACT_COUNTS) | error_responses(),
    openapi_extra=query_parameters(ArtifactFilters),
)
async def count_artifacts(identity: AnyRole, request: Request, artifacts: Artifacts) -> Response:
    """Return the number of files by state and type, for filters; of the latest 100,000 at most."""
    return to_response(await artifacts.count(identity, parse_query(ArtifactFilters, request).to_filters()))


@router.head(
    "/archive",
    operation_id="headArchive",
    summary="Get the headers of an archive of several files",
    responses=empty_response(200, "The archive's headers", "Content-Disposition") | _ARCHIVE_ERRORS,
)
@router.get(
    "/archive",
    operation_id="downloadArchive",
    summary="Download several files as one zip",
    responses=file_response(headers=("Content-Disposition",)) | _ARCHIVE_ERRORS,
    response_class=StreamingResponse,
)
async def download_archive(
    identity: Downloader, *, artifact_ids: ArtifactIds, request: Request, downloads: Downloads, units: Units
) -> Response:
    """Return up to 100 files in one zip, packed while it is sent; each file stays encrypted.

    Files that the object store lacks are named before the first byte is sent: leave them out to get the others.
    """
    files = await downloads.open_all(identity, artifact_ids)
    if request.method == "HEAD":
        return Response(headers=_ARCHIVE_HEADERS, media_type=FILE_MEDIA_TYPE)
    take_place(request, identity, Use.ARCHIVE)
    async with units.begin(identity) as work:
        await downloads.record_archive(work, files)
    return StreamingResponse(downloads.pack(files), headers=_ARCHIVE_HEADERS, media_type=FILE_MEDIA_TYPE)


@router.delete(
    "",
    operation_id="deleteArtifacts",
    summary="Delete several files",
    status_code=204,
    responses=error_responses(ProblemType.NOT_FOUND, ProblemType.FILES_NOT_DELETED),
)
async def delete_artifacts(
    identity: Operator, *, artifact_ids: ArtifactIds, artifacts: Artifacts, units: Units
) -> None:
    """Delete up to 100 files from the object store, or none when one is unknown.

    A file that the store refuses to delete (a lock, a hold) stays, and the answer names it; the others are deleted.
    """
    async with units.begin(identity) as work:
        removal = await artifacts.delete(work, artifact_ids)
    removal.require_complete()


@router.get(
    "/{artifact_id:uuid}",
    operation_id="getArtifact",
    summary="Get a file's description",
    responses=json_response(examples.ARTIFACT) | error_responses(ProblemType.NOT_FOUND),
)
async def get_artifact(identity: AnyRole, artifact_id: ArtifactId, artifacts: Artifacts) -> Artifact:
    """Return a file's name, size, checksum and the days that it remains."""
    return await artifacts.get(identity, artifact_id)


@router.head(
    "/{artifact_id:uuid}/content",
    operation_id="headArtifact",
    summary="Get the headers of a file",
    responses=HEAD_FILE,
)
@router.get(
    "/{artifact_id:uuid}/content",
    operation_id="downloadArtifact",
    summary="Download a file",
    responses=GET_FILE,
    response_class=StreamingResponse,
)
async def download_artifact(
    identity: Downloader, *, artifact_id: ArtifactId, request: Request, downloads: Downloads, units: Units
) -> Response:
    """Return the file's bytes. Range and If-Range resume a download; Repr-Digest is the SHA-256 of the whole file.

    To resume a download that was cut off, run the same command again:
    `curl --fail --location --continue-at - --header @HEADER --output FILE ADDRESS`. HEADER is a file with the line
    `Authorization: Bearer KEY`: other users of a machine can read the arguments of its processes.
    """
    file = await downloads.open(identity, artifact_id)
    return await respond_with_file(request, file, identity, downloads=downloads, units=units)
