"""Runs as lists and live updates show them."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from history.recording.projections import TERMINAL_STATES
from history.views.deliveries import RunDelivery
from shared.events.values import Phase, RecordType, RunState, SlotCause
from shared.http.documents import TimeEstimate
from shared.postgres import Record

_COPIED = (
    *("job_id", "source", "type", "state", "message", "cause", "slot", "created_at", "started_at", "ended_at"),
    *("attempt", "rows", "bytes_raw", "bytes_packed", "files", "version"),
)


class ProgressDetail(BaseModel):
    """The latest progress that an exporter has reported of a running run."""

    phase: Phase
    units_done: int = Field(description="records done", examples=[120_000])
    units_total: int | None = Field(description="records in total", examples=[200_000])
    total_exact: bool = Field(description="false while the total is the source's own estimate")
    bytes_done: int = Field(description="uncompressed bytes done", examples=[161_000_000])
    slices: list[tuple[int, int]] | None = Field(
        description="records done and in total of each slice of a run that several exporters share"
    )
    reported_at: datetime


class Run(BaseModel):
    """One execution of a job."""

    id: UUID = Field(examples=["3f0e5c2a-9d4b-5e6f-8a7b-0c1d2e3f4a5b"])
    job_id: UUID = Field(examples=["0192f0c1-7b1e-7000-8000-000000000002"])
    title: str = Field(description="the job's title when the run was triggered", examples=["Nightly export"])
    source: str | None = Field(examples=["contact_history"])
    type: RecordType | None
    state: RunState
    reason: str | None = Field(description="why it failed, was cancelled or skipped, as a stable word")
    message: str | None = Field(description="the same as a sentence")
    cause: SlotCause | None = Field(description="why it was triggered")
    slot: datetime | None = Field(description="the instant at which it was due")
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    duration_seconds: float | None = Field(description="from its start to its end, or until now")
    attempt: int = Field(description="number of the latest attempt")
    rows: int | None = Field(description="exported records")
    bytes_raw: int | None = Field(description="uncompressed bytes")
    bytes_packed: int | None = Field(description="bytes of the packed and encrypted files")
    files: int = Field(description="number of files")
    progress: float | None = Field(
        ge=0, le=1, description="fraction done; never goes backwards, and is below 1 while running", examples=[0.6]
    )
    progress_detail: ProgressDetail | None = Field(description="null unless the run is in progress")
    estimate: TimeEstimate | None = Field(description="time remaining; null while it cannot be estimated")
    deliveries: list[RunDelivery] = Field(description="the deliveries of its files, one for each destination")
    version: int = Field(description="rises with every change: of two copies of a run, the greater is the newer")


class RunPage(BaseModel):
    """A page of runs."""

    items: list[Run]
    next: str | None = Field(description="the cursor of the next page; null on the last")


class RunCounts(BaseModel):
    """The number of runs by each value of what a list can be filtered by."""

    state: dict[str, int] = Field(examples=[{"succeeded": 120, "running": 1}])
    type: dict[str, int] = Field(examples=[{"interaction": 121}])
    source: dict[str, int] = Field(examples=[{"contact_history": 121}])


def to_run(row: Record, now: datetime) -> Run:
    """Return the run of a row of the run log."""
    started, ended = row["started_at"], row["ended_at"]
    return Run(
        id=row["run_id"],
        title=row["title"] or "",
        reason=row["reason"] or row["fate_reason"],
        duration_seconds=max(0.0, ((ended or now) - started).total_seconds()) if started else None,
        progress=1.0 if row["state"] == "succeeded" else row["progress"],
        progress_detail=_to_progress_detail(row),
        estimate=_to_estimate(row),
        deliveries=sorted(row["deliveries"] or [], key=lambda each: (each["destination"], each["id"])),
        **{name: row[name] for name in _COPIED},
    )


def _to_progress_detail(row: Record) -> ProgressDetail | None:
    if row["progress_at"] is None or row["state"] in TERMINAL_STATES:
        return None
    return ProgressDetail(
        phase=row["phase"],
        units_done=row["units_done"],
        units_total=row["units_total"],
        total_exact=row["total_exact"],
        bytes_done=row["bytes_done"],
        slices=row["slices"],
        reported_at=row["progress_at"],
    )


def _to_estimate(row: Record) -> TimeEstimate | None:
    if row["eta_seconds"] is None or row["state"] in TERMINAL_STATES:
        return None
    return TimeEstimate(
        seconds=row["eta_seconds"], low=row["eta_low"], high=row["eta_high"], estimated_at=row["estimated_at"]
    )
