"""Parameters that several operations share."""

from typing import Annotated
from uuid import UUID

from fastapi import Query
from pydantic import AwareDatetime

from history.api.models import ArtifactState
from history.store.listing import ArtifactFilter, RunFilter
from shared.events.values import RecordType, RunState

Limit = Annotated[int, Query(ge=1, le=200, description="items on a page at most")]
Cursor = Annotated[str | None, Query(max_length=2000, description="`next` of the page before")]
Chosen = Annotated[list[UUID], Query(alias="id", min_length=1, max_length=100, description="up to 100 files")]
# PostgreSQL has no NUL in its texts.
Text = Annotated[str | None, Query(max_length=200, pattern=r"^[^\x00]*$", description="part of the title, in any case")]


def run_filter(
    job: Annotated[UUID | None, Query(description="only this job's runs")] = None,
    state: Annotated[list[RunState] | None, Query(description="only these states; may be given several times")] = None,
    type: Annotated[RecordType | None, Query(description="only this type of record")] = None,  # noqa: A002
    source: Annotated[
        str | None, Query(max_length=100, pattern=r"^[a-z0-9_-]*$", description="only this source")
    ] = None,
    since: Annotated[AwareDatetime | None, Query(description="created at or after this instant")] = None,
    before: Annotated[AwareDatetime | None, Query(description="created before this instant")] = None,
    longer_than: Annotated[
        float | None, Query(ge=0, le=1e9, description="ended ones that took so many seconds")
    ] = None,
    with_files: Annotated[bool | None, Query(description="only those that have files, or have none")] = None,
    q: Text = None,
) -> RunFilter:
    """Return which runs a request asks for."""
    return RunFilter(
        job_id=job,
        states=state,
        type=type,
        source=source,
        since=since,
        before=before,
        longer_than=longer_than,
        with_files=with_files,
        text=q,
    )


def artifact_filter(
    job: Annotated[UUID | None, Query(description="only this job's files")] = None,
    run: Annotated[UUID | None, Query(description="only this run's files")] = None,
    type: Annotated[RecordType | None, Query(description="only this type of record")] = None,  # noqa: A002
    state: Annotated[ArtifactState | None, Query(description="only files in this state")] = None,
    since: Annotated[AwareDatetime | None, Query(description="made at or after this instant")] = None,
    before: Annotated[AwareDatetime | None, Query(description="made before this instant")] = None,
    q: Text = None,
) -> ArtifactFilter:
    """Return which files a request asks for."""
    return ArtifactFilter(job_id=job, run_id=run, type=type, state=state, since=since, before=before, text=q)
