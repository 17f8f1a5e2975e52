"""Retrying and cancelling the deliveries of a run (D6, D11)."""

from starlette.requests import Request
from starlette.responses import Response

from job_api.pages.kit.forms import parse_form
from job_api.pages.kit.identity import require_identity
from job_api.pages.kit.notices import redirect_with_notice
from job_api.pages.kit.services import get_services
from job_api.roles import OPERATORS
from shared.http.problems import Problem, ProblemType

DELIVERY_LABELS = {
    "pending": ("queued", "Waiting"),
    "delivering": ("running", "In progress"),
    "delivered": ("succeeded", "Delivered"),
    "failed": ("failed", "Failed"),
    "cancelled": ("cancelled", "Cancelled"),
}
"""How a delivery's state is marked, and what pages call it."""
_NOTICES = {"retry": "delivery-retried", "cancel": "delivery-cancelled"}


async def submit_delivery(request: Request) -> Response:
    """Retry or cancel a delivery, unless its state has changed meanwhile."""
    await require_identity(request, *OPERATORS)
    action = (await parse_form(request)).get("action")
    if action not in _NOTICES:
        raise Problem(ProblemType.INVALID, "Deliveries have no such action.")
    run_id, delivery_id = request.path_params["run_id"], request.path_params["delivery_id"]
    notice = _NOTICES[action]
    try:
        await get_services(request).history.post(request, f"/deliveries/{delivery_id}/{action}")
    except Problem as problem:
        if problem.type is not ProblemType.DELIVERY_STATE:
            raise
        notice = "delivery-unchanged"
    return redirect_with_notice(f"/runs/{run_id}#deliveries", notice)
