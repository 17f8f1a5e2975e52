"""Operations on links: short-lived permissions to download a file without a login."""

from fastapi import Depends, Request
from starlette.responses import Response, StreamingResponse

from history.api import examples
from history.api.dependencies import ArtifactId, Downloader, Downloads, LinkName, Links, LinkSecret, Units
from history.api.files import GET_FILE, HEAD_FILE, respond_with_file
from history.views.artifacts import Link
from shared.http.idempotency import IdempotencyStore, Idempotent, RenderedResponse
from shared.http.openapi import json_response
from shared.http.parameters import check_parameters
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

router = create_router("/api/v1/artifacts", "artifacts")


@router.post(
    "/{artifact_id:uuid}/link",
    operation_id="createLink",
    summary="Create a short-lived link",
    status_code=201,
    response_model=Link,
    responses=json_response(examples.LINK, status=201)
    | error_responses(
        ProblemType.NOT_FOUND,
        ProblemType.IDEMPOTENCY_CONFLICT,
        ProblemType.ARTIFACT_EXPIRED,
        ProblemType.ARTIFACT_DELETED,
    ),
)
async def create_link(
    identity: Downloader, *, artifact_id: ArtifactId, request: Idempotent, links: Links, units: Units
) -> Response:
    """Create a link to the file that works without a login for 15 minutes."""
    path = await links.build_path(identity, artifact_id, secret := request.derive_secret())
    async with units.begin(identity) as work:

        async def respond() -> RenderedResponse:
            return RenderedResponse((await links.create(work, artifact_id, secret)).model_dump(mode="json"))

        store = IdempotencyStore(work.connection, identity)
        return await store.respond_once(request, work.at, respond, derived={"path": path})


@router.head(
    "/links/{secret}/{name}",
    operation_id="headLink",
    summary="Get the headers of a link's file",
    responses=HEAD_FILE,
    dependencies=[Depends(check_parameters)],
)
@router.get(
    "/links/{secret}/{name}",
    operation_id="followLink",
    summary="Download a file by a link",
    responses=GET_FILE,
    response_class=StreamingResponse,
    dependencies=[Depends(check_parameters)],
)
async def follow_link(
    secret: LinkSecret, name: LinkName, *, request: Request, links: Links, downloads: Downloads, units: Units
) -> Response:
    """Return the file of a short-lived link; the link itself is the permission.

    The address ends with the file's name, so `curl --remote-name` and `wget` save it under that name. Resume a download
    that was cut off with: curl --fail --location --continue-at - --remote-name LINK
    """
    file, creator = await links.open(secret, name)
    return await respond_with_file(request, file, creator, downloads=downloads, units=units)
