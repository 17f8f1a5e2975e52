"""What the API answers with."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.events.values import FileKind, JobSettings, Phase, RecordType, RunState, SlotCause

ArtifactState = Literal["available", "expired", "deleted"]
_RUN = "0192f0c1-7b1e-5000-8000-000000000001"
_JOB = "0192f0c1-7b1e-7000-8000-000000000002"


class Estimate(BaseModel):
    """Seconds until the run is done: the median, and a band that holds the end in 80 of 100 cases."""

    seconds: float = Field(examples=[42.0])
    low: float = Field(examples=[35.5])
    high: float = Field(examples=[55.0])
    at: datetime = Field(description="when this was said")


class Progress(BaseModel):
    """How far a running run has come."""

    phase: Phase
    units_done: int = Field(description="records", examples=[120_000])
    units_total: int | None = Field(examples=[200_000])
    total_exact: bool = Field(description="false while the total is the source's own guess")
    bytes_done: int = Field(description="uncompressed", examples=[161_000_000])
    slices: list[tuple[int, int]] | None = Field(description="records done and total of each slice of a shared run")
    at: datetime


class Run(BaseModel):
    """A run as a list shows it."""

    id: UUID = Field(examples=[_RUN])
    job_id: UUID = Field(examples=[_JOB])
    title: str = Field(examples=["Nightly export"])
    source: str | None = Field(examples=["contact_history"])
    type: RecordType | None
    state: RunState
    reason: str | None = Field(description="why it failed, was cancelled or skipped, as a stable word")
    message: str | None = Field(description="the same for people")
    cause: SlotCause | None
    slot: datetime | None = Field(description="the instant that was due")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: float | None = Field(description="from its start to its end, or to now")
    attempt: int
    rows: int | None
    bytes_raw: int | None
    bytes_packed: int | None
    files: int = Field(description="files to download")
    share: float | None = Field(description="0 to 1; never goes backwards; below 1 while running", examples=[0.6])
    progress: Progress | None
    estimate: Estimate | None = Field(description="absent when nothing can be known")
    version: int = Field(description="rises with every change; of two copies of a run the greater is the newer")


class Part(BaseModel):
    """A part that is finished; it is there to download when its run has succeeded."""

    kind: FileKind
    part: int
    at: datetime
    rows: int
    bytes_raw: int
    bytes_packed: int
    sha256: str


class TimelineEntry(BaseModel):
    """Something that happened to a run."""

    at: datetime
    kind: str = Field(examples=["started"])
    details: dict[str, Any] = Field(examples=[{"exporter": "exporter-1", "attempt": 1}])


class Window(BaseModel):
    """Half-open bounds of the run's records."""

    start: datetime | None
    end: datetime | None


class ShownEstimate(BaseModel):
    """What was said of a run's end at an instant, and what came true; neighbouring ones are joined, 64 at most."""

    at: datetime
    end: datetime = Field(description="when the run was expected to end")
    low: datetime
    high: datetime = Field(description="the end was expected between low and high in 80 of 100 cases")
    error_seconds: float | None = Field(
        description="how much later than the true end that was, negative when earlier; known once it has succeeded",
        examples=[-12.5],
    )
    held: bool | None = Field(description="whether the true end lay between low and high", examples=[True])


class Throughput(BaseModel):
    """How far a run had come at an instant, and how fast since the instant before."""

    at: datetime
    rows: int = Field(description="records done by then", examples=[60_000])
    rows_per_second: float = Field(examples=[4800.0])


class FileSet(BaseModel):
    """The files of one kind that a run has made: the parts of a numbered set, or one."""

    kind: FileKind
    files: int = Field(description="how many there were", examples=[12])
    available: int = Field(description="how many are still there to download", examples=[12])
    rows: int
    bytes_raw: int
    size: int = Field(description="bytes of the packed and encrypted files together")


class RunDetails(Run):
    """All that is known of a run."""

    settings: JobSettings | None = Field(description="the job's settings as they were frozen for this run")
    job_deleted: bool = Field(description="whether the job is gone; its runs stay")
    window: Window | None
    exporter: str | None
    recipients: list[str] = Field(description="SHA-256 fingerprints of the recipients' certificates")
    retry_at: datetime | None
    ended_by: UUID | None
    rows_per_second: float | None
    data_complete_through: datetime | None
    parts: list[Part]
    events: list[TimelineEntry]
    artifacts: list["Artifact"] = Field(description="a thousand at most; listArtifacts has all")
    sets: list[FileSet] = Field(description="all of the run's files, counted by kind")
    estimates: list[ShownEstimate] = Field(description="what was said of its end while it was waiting and running")
    throughput: list[Throughput] = Field(description="how it went on, in a hundred steps at most")
    estimate_error: float | None = Field(description="mean error of the estimates, as a share of the duration")


class Artifact(BaseModel):
    """A file that can be downloaded, or could."""

    id: UUID
    run_id: UUID
    job_id: UUID
    title: str
    type: str
    name: str = Field(examples=["Interaction-0192f0c1-7b1e-7000-8000-000000000002-20261124T100000Z.zip.p7m"])
    kind: FileKind
    part: int | None
    rows: int
    bytes_raw: int
    size: int = Field(description="bytes of the packed and encrypted file")
    sha256: str
    created_at: datetime
    expires_at: datetime
    days_remaining: int = Field(description="whole days until it is removed, begun ones counted", examples=[30])
    state: ArtifactState
    set_files: int = Field(description="how many files of this kind the run has made", examples=[12])
    set_available: int = Field(description="how many of those are still there", examples=[12])
    removed_at: datetime | None
    downloads: int
    downloaded_at: datetime | None


class RunCounts(BaseModel):
    """How many runs there are, by what a list can be filtered by."""

    state: dict[str, int] = Field(examples=[{"succeeded": 120, "running": 1}])
    type: dict[str, int] = Field(examples=[{"interaction": 121}])
    source: dict[str, int] = Field(examples=[{"contact_history": 121}])


class ArtifactCounts(BaseModel):
    """How many files there are, by what a list can be filtered by."""

    state: dict[str, int] = Field(examples=[{"available": 240, "expired": 12}])
    type: dict[str, int] = Field(examples=[{"interaction": 252}])


class Score(BaseModel):
    """How good a run's estimates were."""

    run_id: UUID
    scored_at: datetime
    estimates: int = Field(description="how many were shown")
    error_ratio: float = Field(description="mean distance between predicted and true end, as a share of the duration")
    coverage: float = Field(description="share of them whose 10 to 90 % band held the end")


class Scores(BaseModel):
    """A job's latest scores and their means."""

    items: list[Score]
    error_ratio: float | None
    coverage: float | None


class Link(BaseModel):
    """A link that works without a login."""

    path: str = Field(description="below the address of this API", examples=["/api/v1/artifacts/links/q1w2..."])
    expires_at: datetime


class Retention(BaseModel):
    """For how long a tenant's files are kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"days": 30}]})

    days: int = Field(ge=1, le=30)


class AuditEntry(BaseModel):
    """Something that somebody did."""

    id: int
    at: datetime
    user_id: UUID
    name: str
    action: str = Field(examples=["download"])
    object_id: UUID
    details: dict[str, Any]


class Audit(BaseModel):
    """A page of what was done, newest first."""

    items: list[AuditEntry]
    next: str | None


class Runs(BaseModel):
    """A page of runs; `next` is the cursor of the following page, null on the last."""

    items: list[Run]
    next: str | None


class Artifacts(BaseModel):
    """A page of files; `next` is the cursor of the following page, null on the last."""

    items: list[Artifact]
    next: str | None
