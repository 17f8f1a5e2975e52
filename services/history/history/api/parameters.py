"""Parameters that several operations share."""

from typing import Annotated
from uuid import UUID

from fastapi import Header, Path, Query, Request
from pydantic import AwareDatetime, BeforeValidator

from history.api import examples
from history.service.once import Once
from history.store.listing import ArtifactFilter, RunFilter
from history.views.models import ArtifactState
from shared.events.values import RecordType, RunState
from shared.http.identity import SESSION_COOKIE


def _written(text: object) -> object:
    # A bare number would be taken for seconds since 1970.
    if isinstance(text, str) and "T" not in text.upper():
        raise ValueError("should be an instant with its offset, as in 2026-11-24T10:00:00Z")
    return text


_FROM, _TO = "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"
Limit = Annotated[int, Query(ge=1, le=200, description="items on a page at most", examples=[50])]
Cursor = Annotated[
    str | None,
    Query(max_length=2000, description="`next` of the page before", examples=["WyItY3JlYXRlZCIsIjIwMjYiLCIxIl0"]),
]
Sort = Annotated[str, Query(max_length=40, description="a column, `-` before it for descending", examples=["-created"])]
Instant = Annotated[AwareDatetime, BeforeValidator(_written)]
RunId = Annotated[UUID, Path(description="the run", examples=[examples.RUN_ID])]
ArtifactId = Annotated[UUID, Path(description="the file", examples=[examples.ARTIFACT_ID])]
Chosen = Annotated[
    list[UUID],
    Query(alias="id", min_length=1, max_length=100, description="up to 100 files", examples=[[examples.ARTIFACT_ID]]),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="makes sending the request again safe: the first answer is repeated",
        examples=["0b8a1e6c-link-1"],
    ),
]
# PostgreSQL has no NUL in its texts.
Text = Annotated[
    str | None,
    Query(max_length=200, pattern=r"^[^\x00]*$", description="part of the title, in any case", examples=["night"]),
]


def once(request: Request, key: IdempotencyKey = None) -> Once | None:
    """Return the key that a request is to be answered once under, with the token that it came with."""
    bearer = request.headers.get("authorization", "").rpartition(" ")[2]
    token = bearer or request.cookies.get(SESSION_COOKIE, "")
    return Once(key, token) if key is not None and token else None


def run_filter(
    job: Annotated[UUID | None, Query(description="only this job's runs", examples=[examples.JOB_ID])] = None,
    state: Annotated[
        list[RunState] | None,
        Query(max_length=6, description="only these states; may be given several times", examples=[["failed"]]),
    ] = None,
    type: Annotated[RecordType | None, Query(description="only this type of record", examples=["interaction"])] = None,  # noqa: A002
    source: Annotated[
        str | None,
        Query(max_length=100, pattern=r"^[a-z0-9_-]*$", description="only this source", examples=["contact_history"]),
    ] = None,
    since: Annotated[Instant | None, Query(description="created at or after this instant", examples=[_FROM])] = None,
    before: Annotated[Instant | None, Query(description="created before this instant", examples=[_TO])] = None,
    longer_than: Annotated[
        float | None, Query(ge=0, le=1e9, description="ended ones that took so many seconds", examples=[60.0])
    ] = None,
    with_files: Annotated[
        bool | None, Query(description="only those that have files, or have none", examples=[True])
    ] = None,
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
    job: Annotated[UUID | None, Query(description="only this job's files", examples=[examples.JOB_ID])] = None,
    run: Annotated[UUID | None, Query(description="only this run's files", examples=[examples.RUN_ID])] = None,
    type: Annotated[RecordType | None, Query(description="only this type of record", examples=["interaction"])] = None,  # noqa: A002
    state: Annotated[
        ArtifactState | None, Query(description="only files in this state", examples=["available"])
    ] = None,
    since: Annotated[Instant | None, Query(description="made at or after this instant", examples=[_FROM])] = None,
    before: Annotated[Instant | None, Query(description="made before this instant", examples=[_TO])] = None,
    q: Text = None,
) -> ArtifactFilter:
    """Return which files a request asks for."""
    return ArtifactFilter(job_id=job, run_id=run, type=type, state=state, since=since, before=before, text=q)
