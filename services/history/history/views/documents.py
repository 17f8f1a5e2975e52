"""Rows of the log to what the API answers."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import ceil
from typing import Any

from history.recording.projections import TERMINAL_STATES
from history.views import models
from shared.postgres import Record


def run_view(row: Record, now: datetime) -> models.Run:
    """Return a run as a list shows it."""
    return models.Run(**_run(row, now))


def details_view(
    row: Record,
    now: datetime,
    *,
    parts: list[Record],
    entries: list[Record],
    course: Record | None,
    artifacts: list[models.Artifact],
    sets: list[models.FileSet],
    job_deleted: bool,
) -> models.RunDetails:
    """Return all that is known of a run."""
    run = _run(row, now)
    started = row["started_at"] is not None
    return models.RunDetails(
        **run,
        settings=row["settings"],
        job_deleted=job_deleted,
        window=models.Window(start=row["window_start"], end=row["window_end"]) if started else None,
        exporter=row["exporter"],
        recipients=row["recipients"] or [],
        retry_at=row["retry_at"],
        ended_by=row["ended_by"],
        rows_per_second=_rate(row, run["duration_seconds"]),
        data_complete_through=row["data_complete_through"],
        parts=[models.Part(**dict(part)) for part in parts],
        events=[models.TimelineEntry(at=each["at"], kind=each["kind"], details=each["details"]) for each in entries],
        artifacts=artifacts,
        sets=sets,
        estimates=[_shown(each, row) for each in course["shown"]] if course else [],
        throughput=_throughput(course["points"] or []) if course else [],
        estimate_error=course["error_ratio"] if course else None,
    )


def set_view(row: Record) -> models.FileSet:
    """Return the files of one kind of a run, counted."""
    same = ("kind", "files", "available", "rows", "bytes_raw")
    return models.FileSet(size=row["bytes_packed"], **{name: row[name] for name in same})


def facets(rows: Iterable[Record], chosen: Mapping[str, Sequence[str] | None]) -> dict[str, dict[str, int]]:
    """Return for each column how many there are of each of its values, among those that the others' choices leave."""
    found: dict[str, dict[str, int]] = {by: {} for by in chosen}
    for row in rows:
        missed = [by for by, values in chosen.items() if values is not None and row[by] not in values]
        for by, counts in found.items():
            if row[by] is not None and not set(missed) - {by}:
                counts[row[by]] = counts.get(row[by], 0) + row["amount"]
    return found


def artifact_view(row: Record, now: datetime, kept: timedelta, whole: models.FileSet) -> models.Artifact:
    """Return a file; it is `expired` from the instant its time is over, though its removal may take a moment."""
    expires_at = row["created_at"] + kept
    state: models.ArtifactState = "expired" if row["state"] == "available" and expires_at <= now else row["state"]
    return models.Artifact(
        id=row["artifact_id"],
        run_id=row["run_id"],
        job_id=row["job_id"],
        title=row["title"],
        type=row["type"],
        name=row["name"],
        kind=row["kind"],
        part=row["part"],
        rows=row["rows"],
        bytes_raw=row["bytes_raw"],
        size=row["bytes_packed"],
        sha256=row["sha256"],
        created_at=row["created_at"],
        expires_at=expires_at,
        days_remaining=max(0, ceil((expires_at - now) / timedelta(days=1))) if state == "available" else 0,
        state=state,
        set_files=whole.files,
        set_available=whole.available,
        removed_at=row["removed_at"],
        downloads=row["downloads"],
        downloaded_at=row["downloaded_at"],
    )


def audit_view(row: Record) -> models.AuditEntry:
    """Return a line of the audit."""
    return models.AuditEntry(**dict(row))


def score_views(rows: list[Record]) -> models.Scores:
    """Return scores and their means."""
    items = [models.Score(**{name: row[name] for name in models.Score.model_fields}) for row in rows]
    if not items:
        return models.Scores(items=[], error_ratio=None, coverage=None)
    return models.Scores(
        items=items,
        error_ratio=sum(each.error_ratio for each in items) / len(items),
        coverage=sum(each.coverage for each in items) / len(items),
    )


def _shown(each: list[float], row: Record) -> models.ShownEstimate:
    at, end, low, high = (datetime.fromtimestamp(instant, UTC) for instant in each)
    true: datetime | None = row["ended_at"] if row["state"] == "succeeded" else None
    return models.ShownEstimate(
        at=at,
        end=end,
        low=low,
        high=high,
        error_seconds=(end - true).total_seconds() if true else None,
        held=low <= true <= high if true else None,
    )


def _throughput(points: list[list[float]]) -> list[models.Throughput]:
    return [
        models.Throughput(
            at=datetime.fromtimestamp(ts, UTC), rows=int(done), rows_per_second=(done - had) / (ts - before)
        )
        for (before, had, *_), (ts, done, *_) in pairwise(points)
        if ts > before
    ]


def _run(row: Record, now: datetime) -> dict[str, Any]:
    started, ended = row["started_at"], row["ended_at"]
    same = ("job_id", "source", "type", "state", "message", "cause", "slot", "created_at", "started_at", "ended_at")
    counts = ("attempt", "rows", "bytes_raw", "bytes_packed", "files", "version")
    return {
        "id": row["run_id"],
        "title": row["title"] or "",
        "reason": row["reason"] or row["fate_reason"],
        "duration_seconds": max(0.0, ((ended or now) - started).total_seconds()) if started else None,
        "share": 1.0 if row["state"] == "succeeded" else row["progress"],
        "progress": _progress(row),
        "estimate": _estimate(row),
        **{name: row[name] for name in same + counts},
    }


def _progress(row: Record) -> models.Progress | None:
    if row["progress_at"] is None or row["state"] in TERMINAL_STATES:
        return None
    return models.Progress(
        phase=row["phase"],
        units_done=row["units_done"],
        units_total=row["units_total"],
        total_exact=row["total_exact"],
        bytes_done=row["bytes_done"],
        slices=row["slices"],
        at=row["progress_at"],
    )


def _estimate(row: Record) -> models.Estimate | None:
    if row["eta_seconds"] is None or row["state"] in TERMINAL_STATES:
        return None
    return models.Estimate(seconds=row["eta_seconds"], low=row["eta_low"], high=row["eta_high"], at=row["estimated_at"])


def _rate(row: Record, seconds: float | None) -> float | None:
    rows = row["rows"] if row["rows"] is not None else row["units_done"]
    return rows / seconds if rows is not None and seconds else None
