"""Operations on deliveries."""

from fastapi import Request
from starlette.responses import Response

from history.api import examples
from history.api.dependencies import AnyRole, Deliveries, DeliveryId, Operator, Units
from history.api.queries import DeliveryQuery
from history.views.deliveries import Delivery, DeliveryDetails, DeliveryPage
from shared.http.documents import to_response
from shared.http.openapi import json_response
from shared.http.parameters import parse_query, query_parameters
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

router = create_router("/api/v1/deliveries", "deliveries")
_CHANGED = json_response(examples.DELIVERY, status=202) | error_responses(
    ProblemType.NOT_FOUND, ProblemType.DELIVERY_STATE
)


@router.get(
    "",
    operation_id="listDeliveries",
    summary="List deliveries",
    response_model=DeliveryPage,
    responses=json_response(examples.DELIVERIES) | error_responses(),
    openapi_extra=query_parameters(DeliveryQuery),
)
async def list_deliveries(identity: AnyRole, request: Request, deliveries: Deliveries) -> Response:
    """Return a page of deliveries, open and ended ones, filtered and sorted; pages are stable while some are added."""
    query = parse_query(DeliveryQuery, request)
    page = await deliveries.list_page(identity, query.to_page_request())
    return to_response(DeliveryPage(items=page.items, next=query.next_cursor(page)))


@router.get(
    "/{delivery_id:uuid}",
    operation_id="getDelivery",
    summary="Get a delivery",
    response_model=DeliveryDetails,
    responses=json_response(examples.DELIVERY_DETAILS) | error_responses(ProblemType.NOT_FOUND),
)
async def get_delivery(identity: AnyRole, delivery_id: DeliveryId, deliveries: Deliveries) -> Response:
    """Return a delivery with its timeline, and the files that are complete at the destination."""
    return to_response(await deliveries.get(identity, delivery_id))


@router.post(
    "/{delivery_id:uuid}/retry",
    operation_id="retryDelivery",
    summary="Retry a delivery",
    status_code=202,
    response_model=Delivery,
    responses=_CHANGED,
)
async def retry_delivery(
    identity: Operator, *, delivery_id: DeliveryId, deliveries: Deliveries, units: Units
) -> Response:
    """Request another try of a delivery that failed or was cancelled, with the destination as it is now.

    Nothing is exported again, and files that are already there are not sent again.
    """
    async with units.begin(identity) as work:
        return to_response(await deliveries.retry(work, delivery_id), status=202)


@router.post(
    "/{delivery_id:uuid}/cancel",
    operation_id="cancelDelivery",
    summary="Cancel a delivery",
    status_code=202,
    response_model=Delivery,
    responses=_CHANGED,
)
async def cancel_delivery(
    identity: Operator, *, delivery_id: DeliveryId, deliveries: Deliveries, units: Units
) -> Response:
    """Request that a delivery be cancelled; files that are at the destination stay there, without a manifest."""
    async with units.begin(identity) as work:
        return to_response(await deliveries.cancel(work, delivery_id), status=202)
