"""Operations on files."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import StreamingResponse

from history.api import examples
from history.api.documents import answers, refused
from history.api.parameters import ArtifactId, Chosen, Cursor, Limit, Sort, artifact_filter, once
from history.api.runs import Operator, Reader
from history.service.artifacts import Filing
from history.service.once import Once
from history.store.listing import ArtifactFilter
from history.views import models
from shared.auth import Identity
from shared.http.identity import require_roles

LinkSecret = Annotated[
    str,
    Path(
        max_length=200,
        description="the last part of a link's path",
        examples=[examples.LINK["path"].rpartition("/")[2]],
    ),
]
Downloader = Annotated[Identity, require_roles("operator", "downloader")]
_BYTES = {"schema": {"type": "string", "format": "binary"}}
_BINARY = {"content": {"application/pkcs7-mime": _BYTES}}
_CONTENT = {**refused(404, 410, 416, 502), 200: _BINARY, 206: _BINARY, 304: {"description": "unchanged"}}


def artifact_routes(filing: Filing) -> APIRouter:
    """Return the routes under /api/v1/artifacts; those with fixed names come before those with an id."""
    api = APIRouter(prefix="/api/v1/artifacts", tags=["artifacts"])

    @api.get("", operation_id="listArtifacts", summary="List files", responses=answers(examples.ARTIFACTS))
    async def list_artifacts(
        who: Reader,
        which: Annotated[ArtifactFilter, Depends(artifact_filter)],
        sort: Sort = "-created",
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> models.Artifacts:
        """Finished files with the days that remain to each, filtered and sorted, a page at a time."""
        return await filing.artifacts(who, which, sort=sort, limit=limit, cursor=cursor)

    @api.get(
        "/counts", operation_id="countArtifacts", summary="Count files", responses=answers(examples.ARTIFACT_COUNTS)
    )
    async def count_artifacts(
        who: Reader, which: Annotated[ArtifactFilter, Depends(artifact_filter)]
    ) -> models.ArtifactCounts:
        """How many files there are of each state and type, for filters; of the latest 100,000 at most."""
        return await filing.counts(who, which)

    @api.get(
        "/archive",
        operation_id="downloadArchive",
        summary="Download several files as one zip",
        responses={**refused(404, 410), 200: {"content": {"application/zip": _BYTES}}},
        response_class=StreamingResponse,
    )
    async def download_archive(who: Downloader, chosen: Chosen) -> StreamingResponse:
        """Up to 100 files in one zip, made while it is sent; each stays encrypted as it is."""
        body = await filing.archive(who, chosen)
        headers = {"Content-Disposition": 'attachment; filename="sluice-files.zip"'}
        return StreamingResponse(body, media_type="application/zip", headers=headers)

    @api.delete(
        "",
        operation_id="deleteArtifacts",
        summary="Delete several files",
        status_code=204,
        responses=refused(404),
    )
    async def delete_artifacts(who: Operator, chosen: Chosen) -> None:
        """Delete up to 100 files from the store; all of them, or none when one is unknown."""
        await filing.delete(who, chosen)

    @api.get(
        "/links/{secret}",
        operation_id="followLink",
        summary="Download by a link",
        responses=_CONTENT,
        response_class=StreamingResponse,
    )
    async def follow_link(secret: LinkSecret, request: Request) -> StreamingResponse:
        """The file that a short-lived link leads to; the link itself is the permission."""
        found = await filing.linked(secret, request.headers)
        return StreamingResponse(found.body, found.status, found.headers)

    @api.get(
        "/{artifact_id:uuid}",
        operation_id="getArtifact",
        summary="Show a file",
        responses=answers(examples.ARTIFACT, 404),
    )
    async def get_artifact(who: Reader, artifact_id: ArtifactId) -> models.Artifact:
        """A file's name, size, checksum and time left."""
        return await filing.artifact(who, artifact_id)

    @api.get(
        "/{artifact_id:uuid}/content",
        operation_id="downloadArtifact",
        summary="Download a file",
        responses=_CONTENT,
        response_class=StreamingResponse,
    )
    async def download_artifact(who: Downloader, artifact_id: ArtifactId, request: Request) -> StreamingResponse:
        """The file's bytes; resumes with Range and If-Range; Repr-Digest has the SHA-256 of the whole."""
        found = await filing.download(who, artifact_id, request.headers)
        return StreamingResponse(found.body, found.status, found.headers)

    @api.post(
        "/{artifact_id:uuid}/link",
        operation_id="makeLink",
        summary="Make a short-lived link",
        status_code=201,
        responses=answers(examples.LINK, 404, 409, 410, status=201),
    )
    async def make_link(
        who: Downloader, artifact_id: ArtifactId, once: Annotated[Once | None, Depends(once)]
    ) -> models.Link:
        """A link to the file that works without a login for 15 minutes."""
        return await filing.link(who, artifact_id, once)

    return api
