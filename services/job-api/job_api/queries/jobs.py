"""The query parameters of the list of jobs."""

from typing import ClassVar, Literal

from pydantic import Field

from job_api.store.lists import JOBS
from shared.events.values import JobState, RecordType, ScheduleKind
from shared.http.lists import ListQuery, sort_field
from shared.http.values import Instant, SearchText, SourceName

JobStatus = Literal["none", "queued", "running", "succeeded", "failed", "cancelled", "skipped"]


class JobQuery(ListQuery):
    """Which jobs to list, and in which order."""

    rows: ClassVar = JOBS

    sort: str = sort_field(JOBS)
    search: SearchText | None = Field(None, description="contained in the title or description, ignoring case")
    state: JobState | None = Field(None, description="whether the job's future slots will run")
    status: JobStatus | None = Field(None, description="state of the latest run; `none`: no run yet")
    type: RecordType | None = Field(None, description="type of the exported records")
    source: SourceName | None = Field(None, description="source of the records")
    schedule: ScheduleKind | None = Field(None, description="kind of the schedule")
    created_from: Instant | None = Field(None, description="created at this instant or later")
    created_until: Instant | None = Field(None, description="created before this instant")
    last_run_from: Instant | None = Field(None, description="last run at this instant or later")
    last_run_until: Instant | None = Field(None, description="last run before this instant")
    next_run_from: Instant | None = Field(None, description="next due at this instant or later")
    next_run_until: Instant | None = Field(None, description="next due before this instant")
