"""Operations of administrators: retention and the audit trail."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from history.api import examples
from history.api.dependencies import Administrator, AuditTrail, RetentionRules, Units
from history.api.queries import HistoryAuditQuery
from history.views.governance import HistoryAuditPage, Retention, to_audit_entry
from shared.http.documents import to_response
from shared.http.openapi import json_response
from shared.http.parameters import parse_query, query_parameters
from shared.http.problems import ProblemType, error_responses

router = APIRouter(prefix="/api/v1/artifacts", tags=["governance"])


@router.get(
    "/retention",
    operation_id="getRetention",
    summary="Get the retention",
    responses=json_response(examples.RETENTION) | error_responses(),
)
async def get_retention(identity: Administrator, retention: RetentionRules) -> Retention:
    """Return how many days the tenant's files are kept."""
    return Retention(days=(await retention.find_period(identity.tenant_id)).days)


@router.put(
    "/retention",
    operation_id="setRetention",
    summary="Set the retention",
    responses=json_response(examples.RETENTION) | error_responses(ProblemType.TOO_LARGE),
)
async def set_retention(
    identity: Administrator, *, wanted: Retention, retention: RetentionRules, units: Units
) -> Retention:
    """Keep files for so many days, at most 30, existing files included; it takes effect within minutes."""
    async with units.begin(identity) as work:
        await retention.set_days(work, wanted.days)
    return Retention(days=(await retention.find_period(identity.tenant_id)).days)


@router.get(
    "/audit",
    operation_id="listHistoryAudit",
    summary="List the audit trail of runs and files",
    response_model=HistoryAuditPage,
    responses=json_response(examples.AUDIT) | error_responses(),
    openapi_extra=query_parameters(HistoryAuditQuery),
)
async def list_audit(identity: Administrator, request: Request, audit: AuditTrail) -> Response:
    """Return downloads, links, deletions, cancellations, removals and changes of the retention, newest first."""
    query = parse_query(HistoryAuditQuery, request)
    page = (await audit.list_page(identity.tenant_id, query.to_page_request())).map(to_audit_entry)
    return to_response(HistoryAuditPage(items=page.items, next=query.next_cursor(page)))
