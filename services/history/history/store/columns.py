"""Runs of the log as rows of the table `run`, and back."""

import json
from typing import Any

from pydantic import TypeAdapter

from history.recording.projections import LoggedEstimate, LoggedFate, LoggedProgress, LoggedRun, RunLifecycle
from shared.events import JobSettings, Window
from shared.postgres import Record

_SETTINGS = TypeAdapter(JobSettings)
_NONE = (None,) * 40


def to_row(run: LoggedRun) -> tuple[Any, ...]:
    """Return a run's columns in the order of the query `save_runs`."""
    settings = run.settings
    return (
        run.run_id,
        run.job_id,
        run.tenant_id,
        run.state,
        run.created_at,
        run.slot,
        run.cause,
        *((settings.title, settings.source, settings.type) if settings else _NONE[:3]),
        _SETTINGS.dump_json(settings).decode() if settings else None,
        run.removed_at,
        *((run.fate.fate, run.fate.at, run.fate.reason) if run.fate else _NONE[:3]),
        *_lifecycle(run.lifecycle),
        *_progress(run.progress),
        *_estimate(run.estimate),
    )


def from_row(row: Record) -> LoggedRun:
    """Return the run of a row; its settings stay where they are, they need not be stored again."""
    return LoggedRun(
        run_id=row["run_id"],
        job_id=row["job_id"],
        tenant_id=row["tenant_id"],
        slot=row["slot"],
        cause=row["cause"],
        removed_at=row["removed_at"],
        fate=LoggedFate(fate=row["fate"], at=row["fate_at"], reason=row["fate_reason"]) if row["fate"] else None,
        lifecycle=_lifecycle_of(row) if row["life_state"] else None,
        progress=_progress_of(row) if row["progress_at"] else None,
        estimate=_estimate_of(row) if row["estimated_at"] else None,
    )


def _lifecycle(lifecycle: RunLifecycle | None) -> tuple[Any, ...]:
    if lifecycle is None:
        return (*_NONE[:8], 0, *_NONE[:11], 0, None, None)
    window = lifecycle.window or Window()
    return (
        lifecycle.state,
        lifecycle.token,
        lifecycle.seq,
        lifecycle.first_at,
        lifecycle.queued_at,
        lifecycle.started_at,
        lifecycle.attempt_started_at,
        lifecycle.ended_at,
        lifecycle.attempt,
        lifecycle.exporter,
        window.start,
        window.end,
        json.dumps(lifecycle.recipients),
        lifecycle.reason,
        lifecycle.message,
        lifecycle.retry_at,
        lifecycle.ended_by,
        lifecycle.rows,
        lifecycle.bytes_raw,
        lifecycle.bytes_packed,
        lifecycle.files,
        lifecycle.manifest,
        lifecycle.data_complete_through,
    )


def _lifecycle_of(row: Record) -> RunLifecycle:
    return RunLifecycle(
        token=row["life_token"],
        seq=row["life_seq"],
        state=row["life_state"],
        first_at=row["first_at"],
        queued_at=row["queued_at"],
        started_at=row["started_at"],
        attempt_started_at=row["attempt_started_at"],
        ended_at=row["ended_at"],
        attempt=row["attempt"],
        exporter=row["exporter"],
        window=Window(start=row["window_start"], end=row["window_end"]) if row["attempt_started_at"] else None,
        recipients=tuple(row["recipients"]),
        reason=row["reason"],
        message=row["message"],
        retry_at=row["retry_at"],
        ended_by=row["ended_by"],
        rows=row["rows"],
        bytes_raw=row["bytes_raw"],
        bytes_packed=row["bytes_packed"],
        files=row["files"],
        manifest=row["manifest"],
        data_complete_through=row["data_complete_through"],
    )


def _progress(progress: LoggedProgress | None) -> tuple[Any, ...]:
    if progress is None:
        return _NONE[:9]
    return (
        progress.token,
        progress.seq,
        progress.at,
        progress.phase,
        progress.units_done,
        progress.units_total,
        progress.total_exact,
        progress.bytes_done,
        json.dumps(progress.slices) if progress.slices is not None else None,
    )


def _progress_of(row: Record) -> LoggedProgress:
    slices = row["slices"]
    return LoggedProgress(
        token=row["progress_token"],
        seq=row["progress_seq"],
        at=row["progress_at"],
        phase=row["phase"],
        units_done=row["units_done"],
        units_total=row["units_total"],
        total_exact=row["total_exact"],
        bytes_done=row["bytes_done"],
        slices=tuple((done, total) for done, total in slices) if slices is not None else None,
    )


def _estimate(estimate: LoggedEstimate | None) -> tuple[Any, ...]:
    if estimate is None:
        return _NONE[:7]
    return (
        estimate.token,
        estimate.seq,
        estimate.at,
        estimate.progress,
        estimate.eta_seconds,
        estimate.eta_low,
        estimate.eta_high,
    )


def _estimate_of(row: Record) -> LoggedEstimate:
    return LoggedEstimate(
        token=row["estimate_token"],
        seq=row["estimate_seq"],
        at=row["estimated_at"],
        progress=row["progress"],
        eta_seconds=row["eta_seconds"],
        eta_low=row["eta_low"],
        eta_high=row["eta_high"],
    )
