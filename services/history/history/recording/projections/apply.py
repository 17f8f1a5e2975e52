"""The projection itself: from a run and an event to the run after it."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid5

from history.recording.projections.lifecycle import advance_lifecycle
from history.recording.projections.state import (
    TERMINAL_STATES,
    LogEntry,
    LoggedArtifact,
    LoggedEstimate,
    LoggedFate,
    LoggedPart,
    LoggedProgress,
    LoggedRun,
    RunChange,
    RunLifecycle,
)
from shared import events

LogEvent = (
    events.SlotTriggered
    | events.SlotSkipped
    | events.RunEvent
    | events.FilesExpired
    | events.RunRemoved
    | events.RunProgressed
    | events.RunEstimated
)

# Tokens of timeline entries that do not come from exporters: the slot's fate comes first, the removal of files last.
_FATE_TOKEN, _REMOVAL_TOKEN = -1, 2**62

_ARTIFACT_NAMESPACE = UUID("6f9c4c1e-7f43-4a8b-9a52-6d3c6d3f1a57")
# The kind of an event's timeline entry, and the fields that make up its details.
_ENTRIES: dict[type[events.RunEvent], tuple[str, tuple[str, ...]]] = {
    events.RunQueued: ("queued", ("cause",)),
    events.RunStarted: ("started", ("exporter", "attempt")),
    events.RunAttemptFailed: ("attempt-failed", ("attempt", "code", "message")),
    events.RunHandedBack: ("handed-back", ("exporter",)),
    events.RunSucceeded: ("succeeded", ("rows", "bytes_raw", "bytes_packed", "data_complete_note")),
    events.RunSucceededV1: ("succeeded", ("rows", "bytes_raw", "bytes_packed")),
    events.RunFailed: ("failed", ("attempt", "code", "message")),
    events.RunCancelled: ("cancelled", ("reason",)),
    events.RunSkipped: ("skipped", ("reason",)),
}


def apply(run: LoggedRun | None, event: LogEvent) -> RunChange | None:
    """Return what the event changes, or None for one that is old, a duplicate or later than the run's end."""
    run = run or LoggedRun(run_id=event.run_id, job_id=event.job_id, tenant_id=event.tenant_id)
    match event:
        case events.RunProgressed():
            return _apply_progress(run, event)
        case events.RunEstimated():
            return _apply_estimate(run, event)
        case events.RunEvent():
            return _apply_run_event(run, event)
        case events.SlotTriggered() | events.SlotSkipped():
            return _apply_fate(run, event)
        case events.FilesExpired():
            return _apply_removal(run, event)
        case events.RunRemoved():
            return None if run.removed_at else RunChange(run=replace(run, removed_at=event.at))


def _apply_fate(run: LoggedRun, event: events.SlotTriggered | events.SlotSkipped) -> RunChange | None:
    if run.fate is not None:
        return None
    if isinstance(event, events.SlotSkipped):
        fate = LoggedFate(fate="skipped", at=event.skipped_at, reason=event.reason)
        run = replace(run, slot=run.slot or event.slot, fate=fate)
        return RunChange(run=run, entry=_entry(run, (_FATE_TOKEN, 0), "slot-skipped", fate.at, reason=event.reason))
    fate = LoggedFate(fate="triggered", at=event.triggered_at)
    run = replace(run, slot=event.slot, cause=event.cause, settings=event.settings, fate=fate)
    return RunChange(run=run, entry=_entry(run, (_FATE_TOKEN, 0), "triggered", fate.at, cause=event.cause))


def _apply_progress(run: LoggedRun, event: events.RunProgressed) -> RunChange | None:
    stale = run.lifecycle is not None and event.token < run.lifecycle.token
    if stale or run.state in TERMINAL_STATES or not _is_newer(event, run.progress):
        return None
    progress = LoggedProgress(
        token=event.token,
        seq=event.seq,
        at=event.at,
        phase=event.phase,
        units_done=event.units_done,
        units_total=event.units_total,
        total_exact=event.total_exact,
        bytes_done=event.bytes_done,
        slices=event.slices,
    )
    return RunChange(run=replace(run, progress=progress))


def _apply_estimate(run: LoggedRun, event: events.RunEstimated) -> RunChange | None:
    if run.state in TERMINAL_STATES or not _is_newer(event, run.estimate):
        return None
    estimate = LoggedEstimate(
        token=event.token,
        seq=event.seq,
        at=event.at,
        progress=event.progress,
        eta_seconds=event.eta_seconds,
        eta_low=event.eta_low,
        eta_high=event.eta_high,
    )
    return RunChange(run=replace(run, estimate=estimate))


def _apply_run_event(run: LoggedRun, event: events.RunEvent) -> RunChange | None:
    if (run.lifecycle and run.lifecycle.state in TERMINAL_STATES) or not _is_newer(event, run.lifecycle):
        return None
    lifecycle = advance_lifecycle(run.lifecycle, event)
    run = replace(run, lifecycle=lifecycle, progress=_current_progress(run.progress, lifecycle))
    if lifecycle.state in TERMINAL_STATES:
        run = replace(run, estimate=None)
    if isinstance(event, events.PartFinished):
        return RunChange(run=run, part=_part(event))
    if isinstance(event, events.RunQueued | events.RunSkipped):
        run = replace(run, slot=event.slot, cause=event.cause, settings=event.settings)
    artifacts = _artifacts(run, event) if isinstance(event, events.RunSucceeded | events.RunSucceededV1) else ()
    kind, names = _ENTRIES[type(event)]
    details = {name: getattr(event, name) for name in names}
    if details.get("data_complete_note", "") is None:
        del details["data_complete_note"]  # most runs have none
    entry = _entry(run, (event.token, event.seq), kind, event.at, **details)
    return RunChange(run=run, entry=entry, artifacts=artifacts)


def _current_progress(progress: LoggedProgress | None, lifecycle: RunLifecycle) -> LoggedProgress | None:
    """Drop the progress of a run that has ended, and that of an earlier claim."""
    if progress is None or lifecycle.state in TERMINAL_STATES or progress.token < lifecycle.token:
        return None
    return progress


def _is_newer(
    event: events.RunEvent | events.RunProgressed | events.RunEstimated,
    latest: RunLifecycle | LoggedProgress | LoggedEstimate | None,
) -> bool:
    return latest is None or (event.token, event.seq) > (latest.token, latest.seq)


def _apply_removal(run: LoggedRun, event: events.FilesExpired) -> RunChange | None:
    if run.lifecycle is None:  # cannot be: the events of the run precede the removal of its files on the same topic
        return None
    # The event has no sequence number; its instant in microseconds is its position in the timeline.
    position = (_REMOVAL_TOKEN, int(event.at.timestamp() * 1_000_000))
    return RunChange(
        run=run, entry=_entry(run, position, f"files-{event.reason}", event.at, files=len(event.objects)), removal=event
    )


def _part(event: events.PartFinished) -> LoggedPart:
    return LoggedPart(
        run_id=event.run_id,
        kind=event.kind,
        part=event.part,
        token=event.token,
        seq=event.seq,
        at=event.at,
        rows=event.rows,
        bytes_raw=event.bytes_raw,
        bytes_packed=event.bytes_packed,
        sha256=event.sha256,
    )


def _artifacts(run: LoggedRun, event: events.RunSucceeded | events.RunSucceededV1) -> tuple[LoggedArtifact, ...]:
    return tuple(
        LoggedArtifact(
            artifact_id=uuid5(_ARTIFACT_NAMESPACE, f"{run.run_id}/{file.name}"),
            run_id=run.run_id,
            job_id=run.job_id,
            tenant_id=run.tenant_id,
            file=file,
            created_at=event.at,
        )
        for file in event.files
    )


def _entry(run: LoggedRun, position: tuple[int, int], kind: str, at: datetime, **details: str | int | None) -> LogEntry:
    token, seq = position
    return LogEntry(run_id=run.run_id, token=token, seq=seq, kind=kind, at=at, details=details)
