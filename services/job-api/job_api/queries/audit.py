"""The query parameters of the audit trail."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from job_api.store.lists import AUDIT
from shared.http.lists import ListQuery, sort_field
from shared.http.values import Instant, SearchText

AuditWord = Annotated[str | None, Field(max_length=60, pattern=r"^[a-z.-]+$")]


class AuditQuery(ListQuery):
    """Which audit entries to list, and in which order."""

    rows: ClassVar = AUDIT

    sort: str = sort_field(AUDIT)
    search: SearchText | None = Field(None, description="contained in `before` or `after` as JSON, ignoring case")
    service: AuditWord = Field(None, description="where it was done: job-api or history")
    action: AuditWord = Field(None, description="what was done, as in `job.suspend`")
    object_kind: AuditWord = Field(
        None, description="job, certificate, user, api-key, session, tenant, run, artifact or retention"
    )
    object_id: UUID | None = Field(None, description="what it was done to")
    actor_id: UUID | None = Field(None, description="who did it")
    actor: SearchText | None = Field(None, description="contained in the actor's name, ignoring case")
    created_from: Instant | None = Field(None, description="recorded at this instant or later")
    created_until: Instant | None = Field(None, description="recorded before this instant")
