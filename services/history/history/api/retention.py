"""Operations of administrators: the retention of files."""

from history.api import examples
from history.api.dependencies import Admin, RetentionRules, Units
from history.views.retention import Retention
from shared.http.openapi import json_response
from shared.http.problems import ProblemType, error_responses
from shared.http.routing import create_router

router = create_router("/api/v1/artifacts", "retention")


@router.get(
    "/retention",
    operation_id="getRetention",
    summary="Get the retention",
    responses=json_response(examples.RETENTION) | error_responses(),
)
async def get_retention(identity: Admin, retention: RetentionRules) -> Retention:
    """Return how many days the tenant's files are kept."""
    return Retention(days=(await retention.find_period(identity.tenant_id)).days)


@router.put(
    "/retention",
    operation_id="setRetention",
    summary="Set the retention",
    responses=json_response(examples.RETENTION) | error_responses(ProblemType.TOO_LARGE),
)
async def set_retention(identity: Admin, *, wanted: Retention, retention: RetentionRules, units: Units) -> Retention:
    """Keep files for so many days, at most 30, existing files included; it takes effect within minutes."""
    async with units.begin(identity) as work:
        await retention.set_days(work, wanted.days)
    return Retention(days=(await retention.find_period(identity.tenant_id)).days)
