"""`/api/v1/destinations`: the tenant's own storage, to which files are delivered (rules D1 to D3)."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from starlette.responses import JSONResponse, Response

from job_api.api.destination_documents import (
    CREATED_DESTINATION_EXAMPLE,
    DESTINATION_EXAMPLE,
    TESTING_DESTINATION_EXAMPLE,
    Destination,
    DestinationPage,
)
from job_api.api.services import Destinations, Units
from job_api.bodies.destinations import DestinationBody, DestinationPatch, HostKeyBody
from job_api.commands import respond_once
from job_api.queries import DestinationQuery
from job_api.roles import Admin, Reader
from job_api.store import UnitOfWork
from job_api.store import destinations as store
from shared.http.conditional import IfMatch, require_if_match, to_etag
from shared.http.idempotency import Idempotent, RenderedResponse
from shared.http.openapi import json_response
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

_DESTINATION = json_response(DESTINATION_EXAMPLE, headers=("ETag",))
_CHANGE_ERRORS = (ProblemType.NOT_FOUND, ProblemType.LOST_UPDATE, ProblemType.IF_MATCH_REQUIRED)
router = create_router("/api/v1/destinations", "destinations")


@router.post(
    "",
    operation_id="createDestination",
    summary="Create a destination",
    status_code=201,
    response_model=Destination,
    responses=json_response(CREATED_DESTINATION_EXAMPLE, status=201, headers=("ETag", "Location"))
    | error_responses(
        ProblemType.DESTINATION_EXISTS,
        ProblemType.DELIVERY_NOT_AVAILABLE,
        ProblemType.IDEMPOTENCY_CONFLICT,
        ProblemType.TOO_LARGE,
    ),
)
async def create_destination(
    identity: Admin, *, body: DestinationBody, request: Idempotent, units: Units, destinations: Destinations
) -> Response:
    """Create a destination; it is untested until a test has passed.

    Credentials are sealed at once for the process that delivers, and can never be read.
    """

    async def create(work: UnitOfWork) -> RenderedResponse:
        return _render_destination(await destinations.create(work, body.to_domain()))

    return await respond_once(units, identity, request.protect_fingerprint(), command=create)


@router.get(
    "",
    operation_id="listDestinations",
    summary="List destinations",
    responses=json_response({"items": [DESTINATION_EXAMPLE], "next": None}) | error_responses(),
)
async def list_destinations(
    identity: Reader, query: Annotated[DestinationQuery, Query()], destinations: Destinations
) -> DestinationPage:
    """Return a page of destinations, without their credentials, filtered and sorted."""
    page = (await destinations.list_page(identity, query.to_page_request())).map(Destination.from_destination)
    return DestinationPage(items=page.items, next=query.next_cursor(page))


@router.get(
    "/{destination_id:uuid}",
    operation_id="getDestination",
    summary="Get a destination",
    response_model=Destination,
    responses=_DESTINATION | error_responses(ProblemType.NOT_FOUND),
)
async def get_destination(identity: Reader, destination_id: UUID, destinations: Destinations) -> Response:
    """Return a destination with its latest test, and its version as ETag."""
    return _respond(await destinations.get(identity, destination_id))


@router.patch(
    "/{destination_id:uuid}",
    operation_id="updateDestination",
    summary="Change, disable or enable a destination",
    response_model=Destination,
    responses=_DESTINATION
    | error_responses(
        *_CHANGE_ERRORS, ProblemType.DESTINATION_EXISTS, ProblemType.DELIVERY_NOT_AVAILABLE, ProblemType.TOO_LARGE
    ),
)
async def update_destination(
    identity: Admin,
    *,
    destination_id: UUID,
    patch: DestinationPatch,
    units: Units,
    destinations: Destinations,
    if_match: IfMatch = None,
) -> Response:
    """Change what a merge patch (RFC 7396) names; another address or other credentials are untested again.

    An address that would bring the credentials to another recipient needs them again. Deliveries use the new address
    and credentials from then on.
    """
    versions = require_if_match(if_match)
    async with units.begin(identity) as work:
        return _respond(await destinations.change(work, destination_id, patch.to_change(), versions=versions))


@router.delete(
    "/{destination_id:uuid}",
    operation_id="deleteDestination",
    summary="Delete a destination",
    status_code=204,
    responses=error_responses(*_CHANGE_ERRORS, ProblemType.DESTINATION_IN_USE),
)
async def delete_destination(
    identity: Admin, *, destination_id: UUID, units: Units, destinations: Destinations, if_match: IfMatch = None
) -> None:
    """Delete a destination that no job delivers to; its open deliveries are cancelled. What it holds stays there."""
    versions = require_if_match(if_match)
    async with units.begin(identity) as work:
        await destinations.delete(work, destination_id, versions=versions)


@router.post(
    "/{destination_id:uuid}/test",
    operation_id="testDestination",
    summary="Test a destination",
    status_code=202,
    response_model=Destination,
    responses=json_response(TESTING_DESTINATION_EXAMPLE, status=202, headers=("ETag",))
    | error_responses(ProblemType.NOT_FOUND),
)
async def test_destination(
    identity: Admin, *, destination_id: UUID, units: Units, destinations: Destinations
) -> Response:
    """Request a test, which writes, reads back and deletes a small object; its steps are in `latest_test` when it ends.

    Read the destination until `latest_test.ended_at` is set: seconds later, while a deliverer runs.
    """
    async with units.begin(identity) as work:
        return _respond(await destinations.test(work, destination_id), status=202)


@router.post(
    "/{destination_id:uuid}/trust",
    operation_id="trustHostKey",
    summary="Trust a server's host key",
    response_model=Destination,
    responses=_DESTINATION | error_responses(*_CHANGE_ERRORS, ProblemType.TOO_LARGE),
)
async def trust_host_key(
    identity: Admin,
    *,
    destination_id: UUID,
    body: HostKeyBody,
    units: Units,
    destinations: Destinations,
    if_match: IfMatch = None,
) -> Response:
    """Pin the key that an SFTP server presented at the latest test.

    Compare its fingerprint with the server's own first. Later connections to a server with another key are refused.
    """
    versions = require_if_match(if_match)
    async with units.begin(identity) as work:
        found = await destinations.trust_host_key(work, destination_id, body.fingerprint, versions=versions)
    return _respond(found)


def _respond(destination: store.Destination, *, status: int = 200) -> Response:
    body = Destination.from_destination(destination).model_dump(mode="json")
    return JSONResponse(body, status, {"ETag": to_etag(destination.version)})


def _render_destination(destination: store.Destination) -> RenderedResponse:
    body = Destination.from_destination(destination).model_dump(mode="json")
    location = f"/api/v1/destinations/{destination.destination_id}"
    return RenderedResponse(body, headers={"ETag": to_etag(destination.version), "Location": location})
