"""One run with all that is known of it: settings, timeline, parts, files, and its course over time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from history.views.artifacts import Artifact, FileSet
from history.views.runs import Run, to_run
from shared.events.values import FileKind, JobSettings
from shared.http.documents import TimeEstimate
from shared.postgres import Record


class RunPart(BaseModel):
    """A finished part; it can be downloaded once its run has succeeded."""

    kind: FileKind
    part: int = Field(description="number within its kind, from 1")
    finished_at: datetime
    rows: int
    bytes_raw: int = Field(description="uncompressed bytes")
    bytes_packed: int = Field(description="bytes of the packed and encrypted part")
    sha256: str = Field(description="of the packed and encrypted part, in hex")


class TimelineEntry(BaseModel):
    """Something that happened to a run."""

    occurred_at: datetime
    kind: str = Field(examples=["started"])
    details: dict[str, Any] = Field(examples=[{"exporter": "exporter-1", "attempt": 1}])


class RunWindow(BaseModel):
    """The half-open interval of instants that a run reads; null where it is open."""

    start: datetime | None
    end: datetime | None


class ScoredEstimate(TimeEstimate):
    """An estimate that was shown, compared with the actual end; similar neighbours are merged, at most 64 remain."""

    error_seconds: float | None = Field(
        description="estimated end minus actual end; null unless the run has succeeded", examples=[-12.5]
    )
    within_band: bool | None = Field(
        description="whether the actual end was between `low` and `high`; null unless the run has succeeded",
        examples=[True],
    )


class Throughput(BaseModel):
    """The records done at an instant, and the rate since the previous one."""

    measured_at: datetime
    rows: int = Field(description="records done so far", examples=[60_000])
    rows_per_second: float = Field(examples=[4800.0])


class RunDetails(Run):
    """One run with all that is known of it."""

    settings: JobSettings | None = Field(description="the job's settings as they were frozen for this run")
    job_deleted: bool = Field(description="whether the job has been deleted; its runs stay")
    window: RunWindow | None
    exporter: str | None = Field(description="name of the exporter that worked on it last")
    recipients: list[str] = Field(description="SHA-256 fingerprints of the recipients' certificates")
    retry_at: datetime | None = Field(description="when the next attempt may start, after one that failed")
    ended_by: UUID | None = Field(description="the user who cancelled the run")
    rows_per_second: float | None = Field(description="average since its start")
    data_complete_through: datetime | None = Field(description="the source's watermark")
    parts: list[RunPart]
    events: list[TimelineEntry]
    artifacts: list[Artifact] = Field(description="at most 1,000 files; listArtifacts returns all")
    sets: list[FileSet] = Field(description="all files of the run, counted by kind")
    estimates: list[ScoredEstimate] = Field(description="the estimates shown while it was queued and running")
    throughput: list[Throughput] = Field(description="its course in at most 100 steps")
    estimate_error: float | None = Field(description="mean error of the estimates as a fraction of the duration")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What the log has of a run in addition to its row."""

    parts: Sequence[Record]
    entries: Sequence[Record]
    course: Record | None
    artifacts: Sequence[Artifact]
    sets: Sequence[FileSet]
    job_deleted: bool


def to_run_details(row: Record, facts: RunFacts, now: datetime) -> RunDetails:
    """Return a run of the log with all that is known of it."""
    run, course = to_run(row, now), facts.course
    window = RunWindow(start=row["window_start"], end=row["window_end"])
    return RunDetails(
        **dict(run),
        settings=row["settings"],
        job_deleted=facts.job_deleted,
        window=window if run.started_at is not None else None,
        exporter=row["exporter"],
        recipients=row["recipients"] or [],
        retry_at=row["retry_at"],
        ended_by=row["ended_by"],
        rows_per_second=_to_rate(row, run.duration_seconds),
        data_complete_through=row["data_complete_through"],
        parts=[RunPart(**{**part, "finished_at": part["at"]}) for part in facts.parts],
        events=[TimelineEntry(**{**each, "occurred_at": each["at"]}) for each in facts.entries],
        artifacts=list(facts.artifacts),
        sets=list(facts.sets),
        estimates=[_to_scored_estimate(each, row) for each in course["shown"]] if course else [],
        throughput=list(_to_throughput(course["points"] or [])) if course else [],
        estimate_error=course["error_ratio"] if course else None,
    )


def _to_scored_estimate(shown: list[float], row: Record) -> ScoredEstimate:
    """Return an estimate of [instant, end, low, high], in seconds since the epoch, against the end of its run."""
    at, end, low, high = shown
    actual = row["ended_at"].timestamp() if row["state"] == "succeeded" else None
    return ScoredEstimate(
        estimated_at=datetime.fromtimestamp(at, UTC),
        seconds=end - at,
        low=low - at,
        high=high - at,
        error_seconds=end - actual if actual is not None else None,
        within_band=low <= actual <= high if actual is not None else None,
    )


def _to_throughput(points: list[list[float]]) -> Iterator[Throughput]:
    for (before, had, *_), (at, done, *_) in pairwise(points):
        if at > before:
            rate = (done - had) / (at - before)
            yield Throughput(measured_at=datetime.fromtimestamp(at, UTC), rows=int(done), rows_per_second=rate)


def _to_rate(row: Record, seconds: float | None) -> float | None:
    rows = row["rows"] if row["rows"] is not None else row["units_done"]
    return rows / seconds if rows is not None and seconds else None
