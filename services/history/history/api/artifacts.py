"""Operations on files."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import StreamingResponse

from history.api import models
from history.api.parameters import Cursor, Limit, artifact_filter
from history.api.runs import Reader
from history.browsing import Browsing
from history.store.reading import ArtifactFilter
from shared.auth import Identity
from shared.web import problem_responses, require

Downloader = Annotated[Identity, require("operator", "downloader")]
_BINARY = {"content": {"application/pkcs7-mime": {"schema": {"type": "string", "format": "binary"}}}}


def artifact_routes(browsing: Browsing) -> APIRouter:
    """Return the routes under /api/v1/artifacts."""
    api = APIRouter(prefix="/api/v1/artifacts", tags=["artifacts"])

    @api.get("", operation_id="listArtifacts", summary="List files", responses=problem_responses())
    async def list_artifacts(
        who: Reader,
        which: Annotated[ArtifactFilter, Depends(artifact_filter)],
        sort: Annotated[str, Query(max_length=40, description="a column, `-` before it for descending")] = "-created",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> models.Artifacts:
        """Finished files with the days that remain to each, filtered and sorted, a page at a time."""
        return await browsing.artifacts(who, which, sort=sort, limit=limit, cursor=cursor)

    @api.get("/{artifact_id}", operation_id="getArtifact", summary="Show a file", responses=problem_responses(404))
    async def get_artifact(who: Reader, artifact_id: UUID) -> models.Artifact:
        """A file's name, size, checksum and time left."""
        return await browsing.artifact(who, artifact_id)

    @api.get(
        "/{artifact_id}/content",
        operation_id="downloadArtifact",
        summary="Download a file",
        responses={**problem_responses(404, 410, 416, 502), 200: _BINARY, 206: _BINARY, 304: {"description": "same"}},
        response_class=StreamingResponse,
    )
    async def download_artifact(who: Downloader, artifact_id: UUID, request: Request) -> StreamingResponse:
        """The file's bytes; resumes with Range and If-Range; Repr-Digest has the SHA-256 of the whole."""
        found = await browsing.download(who, artifact_id, request.headers)
        return StreamingResponse(found.body, found.status, found.headers)

    return api
