"""Runs of the log as rows of the table `run`, and back; every value by the name of its column."""

import json
from typing import Any

from pydantic import TypeAdapter

from history.recording.projections import LoggedEstimate, LoggedFate, LoggedProgress, LoggedRun, RunLifecycle
from shared.events import JobSettings, Window
from shared.postgres import Record

_SETTINGS = TypeAdapter(JobSettings)
# Fields with a column of the same name.
_RUN = ("run_id", "job_id", "tenant_id", "slot", "cause", "removed_at")
_LIFECYCLE = (
    *("first_at", "queued_at", "started_at", "attempt_started_at", "ended_at", "attempt", "exporter"),
    *("reason", "message", "retry_at", "ended_by", "rows", "bytes_raw", "bytes_packed", "files", "manifest"),
    "data_complete_through",
)
_PROGRESS = ("phase", "units_done", "units_total", "total_exact", "bytes_done")
_ESTIMATE = ("progress", "eta_seconds", "eta_low", "eta_high")


def to_row(run: LoggedRun) -> dict[str, Any]:
    """Return a run as a value of the type `saved_run`; absent columns are NULL, JSON columns are text."""
    row = _fields(run, _RUN)
    row |= {"state": run.state, "created_at": run.created_at, "attempt": 0, "files": 0}
    if (settings := run.settings) is not None:
        row |= {"title": settings.title, "source": settings.source, "type": settings.type}
        row["settings"] = _SETTINGS.dump_json(settings).decode()
    if (fate := run.fate) is not None:
        row |= {"fate": fate.fate, "fate_at": fate.at, "fate_reason": fate.reason}
    if run.lifecycle is not None:
        row |= _lifecycle_columns(run.lifecycle)
    if (progress := run.progress) is not None:
        row |= {"progress_token": progress.token, "progress_seq": progress.seq, "progress_at": progress.at}
        row |= _fields(progress, _PROGRESS)
        row["slices"] = json.dumps(progress.slices) if progress.slices is not None else None
    if (estimate := run.estimate) is not None:
        row |= {"estimate_token": estimate.token, "estimate_seq": estimate.seq, "estimated_at": estimate.at}
        row |= _fields(estimate, _ESTIMATE)
    return row


def from_row(row: Record) -> LoggedRun:
    """Return the run of a row, without its settings: they are stored and need not be written again."""
    return LoggedRun(
        **_columns(row, _RUN),
        fate=LoggedFate(fate=row["fate"], at=row["fate_at"], reason=row["fate_reason"]) if row["fate"] else None,
        lifecycle=_to_lifecycle(row) if row["life_state"] else None,
        progress=_to_progress(row) if row["progress_at"] else None,
        estimate=_to_estimate(row) if row["estimated_at"] else None,
    )


def _lifecycle_columns(lifecycle: RunLifecycle) -> dict[str, Any]:
    window = lifecycle.window or Window()
    return {
        "life_state": lifecycle.state,
        "life_token": lifecycle.token,
        "life_seq": lifecycle.seq,
        "window_start": window.start,
        "window_end": window.end,
        "recipients": json.dumps(lifecycle.recipients),
        **_fields(lifecycle, _LIFECYCLE),
    }


def _to_lifecycle(row: Record) -> RunLifecycle:
    return RunLifecycle(
        state=row["life_state"],
        token=row["life_token"],
        seq=row["life_seq"],
        window=Window(start=row["window_start"], end=row["window_end"]) if row["attempt_started_at"] else None,
        recipients=tuple(row["recipients"]),
        **_columns(row, _LIFECYCLE),
    )


def _to_progress(row: Record) -> LoggedProgress:
    slices = row["slices"]
    return LoggedProgress(
        token=row["progress_token"],
        seq=row["progress_seq"],
        at=row["progress_at"],
        slices=tuple((done, total) for done, total in slices) if slices is not None else None,
        **_columns(row, _PROGRESS),
    )


def _to_estimate(row: Record) -> LoggedEstimate:
    return LoggedEstimate(
        token=row["estimate_token"],
        seq=row["estimate_seq"],
        at=row["estimated_at"],
        **_columns(row, _ESTIMATE),
    )


def _fields(item: object, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(item, name) for name in names}


def _columns(row: Record, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: row[name] for name in names}
