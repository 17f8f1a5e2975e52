"""Operations of administrators: how long files are kept, and who did what."""

from typing import Annotated

from fastapi import APIRouter, Query

from history.api import examples
from history.api.documents import answers
from history.api.parameters import Limit
from history.service.artifacts import Filing
from history.views import models
from shared.auth import Identity
from shared.http.identity import require_roles

Administrator = Annotated[Identity, require_roles("admin")]


def governance_routes(filing: Filing) -> APIRouter:
    """Return the routes /api/v1/artifacts/retention and /api/v1/artifacts/audit."""
    api = APIRouter(prefix="/api/v1/artifacts", tags=["governance"])

    @api.get(
        "/retention", operation_id="getRetention", summary="Show the retention", responses=answers(examples.RETENTION)
    )
    async def get_retention(who: Administrator) -> models.Retention:
        """For how many days the tenant's files are kept."""
        return await filing.retention(who)

    @api.put(
        "/retention", operation_id="setRetention", summary="Set the retention", responses=answers(examples.RETENTION)
    )
    async def set_retention(who: Administrator, wanted: models.Retention) -> models.Retention:
        """Keep files for so many days, 30 at most, those that are there included; takes effect within minutes."""
        return await filing.set_retention(who, wanted)

    @api.get("/audit", operation_id="listHistoryAudit", summary="Who did what", responses=answers(examples.AUDIT))
    async def list_audit(
        who: Administrator,
        action: Annotated[
            str | None, Query(max_length=40, pattern=r"^[a-z-]*$", description="only this", examples=["download"])
        ] = None,
        limit: Limit = 50,
        cursor: Annotated[
            int | None, Query(ge=0, le=2**63 - 1, description="`next` of the page before", examples=[17])
        ] = None,
    ) -> models.Audit:
        """Downloads, links, deletions, cancellations, removals and changes of the retention, newest first."""
        return await filing.audit(who, action=action, limit=limit, cursor=cursor)

    return api
