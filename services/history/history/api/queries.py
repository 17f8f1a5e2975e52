"""The query parameters of lists and counts: every list is filtered by the columns that it shows (rule J11)."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from history.api import examples
from history.store.lists import ARTIFACTS, DELIVERIES, RUNS
from history.views.artifacts import ArtifactState
from shared.events.values import DeliveryState, RecordType, RunState
from shared.http.lists import FilterQuery, KeysetList, ListQuery, sort_field
from shared.http.values import Instant, SearchText, SourceName

_FROM, _UNTIL = "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"


class RunFilters(FilterQuery):
    """Which runs."""

    rows: ClassVar[KeysetList] = RUNS

    job_id: UUID | None = Field(None, description="only this job's runs", examples=[examples.JOB_ID])
    state: list[RunState] | None = Field(
        None, max_length=6, description="only these states; may be repeated", examples=[["failed"]]
    )
    type: RecordType | None = Field(None, description="type of the exported records", examples=["interaction"])
    source: SourceName | None = Field(None, description="source of the records", examples=["contact_history"])
    created_from: Instant | None = Field(None, description="created at this instant or later", examples=[_FROM])
    created_until: Instant | None = Field(None, description="created before this instant", examples=[_UNTIL])
    duration_from: float | None = Field(
        None, ge=0, le=1e9, description="only ended runs that took at least so many seconds", examples=[60.0]
    )
    has_files: bool | None = Field(None, description="only runs with files, or only runs without", examples=[True])
    search: SearchText | None = Field(None, description="contained in the title, ignoring case", examples=["night"])


class RunQuery(RunFilters, ListQuery):
    """Which runs, in which order, and which page."""

    sort: str = sort_field(RUNS)


class ArtifactFilters(FilterQuery):
    """Which artifacts."""

    rows: ClassVar[KeysetList] = ARTIFACTS

    job_id: UUID | None = Field(None, description="only this job's files", examples=[examples.JOB_ID])
    run_id: UUID | None = Field(None, description="only this run's files", examples=[examples.RUN_ID])
    type: RecordType | None = Field(None, description="type of the exported records", examples=["interaction"])
    state: ArtifactState | None = Field(
        None, description="whether the file can be downloaded, has expired or was deleted", examples=["available"]
    )
    created_from: Instant | None = Field(None, description="created at this instant or later", examples=[_FROM])
    created_until: Instant | None = Field(None, description="created before this instant", examples=[_UNTIL])
    search: SearchText | None = Field(
        None, description="contained in the file's name or the job's title, ignoring case", examples=["night"]
    )


class ArtifactQuery(ArtifactFilters, ListQuery):
    """Which artifacts, in which order, and which page."""

    sort: str = sort_field(ARTIFACTS)


class DeliveryQuery(ListQuery):
    """Which deliveries, in which order, and which page."""

    rows: ClassVar[KeysetList] = DELIVERIES

    sort: str = sort_field(DELIVERIES)
    job_id: UUID | None = Field(None, description="only deliveries of this job's files", examples=[examples.JOB_ID])
    run_id: UUID | None = Field(None, description="only deliveries of this run's files", examples=[examples.RUN_ID])
    destination_id: UUID | None = Field(
        None, description="only deliveries to this destination", examples=[examples.DESTINATION_ID]
    )
    state: list[DeliveryState] | None = Field(
        None, max_length=5, description="only these states; may be repeated", examples=[["failed"]]
    )
    created_from: Instant | None = Field(None, description="created at this instant or later", examples=[_FROM])
    created_until: Instant | None = Field(None, description="created before this instant", examples=[_UNTIL])
    search: SearchText | None = Field(
        None, description="contained in the job's title or the destination's name, ignoring case", examples=["night"]
    )
