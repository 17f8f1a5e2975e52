"""The projection itself: an event and the run as it was, to the run as it is."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import UUID, uuid5

from history.recording.projections.life import lived
from history.recording.projections.state import (
    TERMINAL,
    Applied,
    Artifact,
    Entry,
    Estimate,
    Fate,
    Life,
    Part,
    Progress,
    Run,
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

# Tokens in the timeline of what no exporter said: the scheduler's decision comes first, the files' end last.
DECIDED, FILED = -1, 2**62

_ARTIFACTS = UUID("6f9c4c1e-7f43-4a8b-9a52-6d3c6d3f1a57")
_KINDS: dict[type[events.RunEvent], str] = {
    events.RunQueued: "queued",
    events.RunStarted: "started",
    events.RunAttemptFailed: "attempt-failed",
    events.RunHandedBack: "handed-back",
    events.RunSucceeded: "succeeded",
    events.RunSucceededV1: "succeeded",
    events.RunFailed: "failed",
    events.RunCancelled: "cancelled",
    events.RunSkipped: "skipped",
}


def apply(run: Run | None, event: LogEvent) -> Applied | None:
    """Return what the event changes, or None when it is old, doubled or comes after the end."""
    run = run or Run(run_id=event.run_id, job_id=event.job_id, tenant_id=event.tenant_id)
    match event:
        case events.RunProgressed():
            return _progressed(run, event)
        case events.RunEstimated():
            return _estimated(run, event)
        case events.RunEvent():
            return _lived(run, event)
        case events.SlotTriggered() | events.SlotSkipped():
            return _decided(run, event)
        case events.FilesExpired():
            return _filed(run, event)
        case events.RunRemoved():
            return None if run.removed_at else Applied(run=replace(run, removed_at=event.at))


def _decided(run: Run, event: events.SlotTriggered | events.SlotSkipped) -> Applied | None:
    if run.fate is not None:
        return None
    if isinstance(event, events.SlotSkipped):
        fate = Fate(fate="skipped", at=event.skipped_at, reason=event.reason)
        run = replace(run, slot=run.slot or event.slot, fate=fate)
        return Applied(run=run, entry=_entry(run, (DECIDED, 0), "slot-skipped", fate.at, reason=event.reason))
    fate = Fate(fate="triggered", at=event.triggered_at)
    run = replace(run, slot=event.slot, cause=event.cause, settings=event.settings, fate=fate)
    return Applied(run=run, entry=_entry(run, (DECIDED, 0), "triggered", fate.at, cause=event.cause))


def _progressed(run: Run, event: events.RunProgressed) -> Applied | None:
    stale = run.life is not None and event.token < run.life.token
    if stale or run.state in TERMINAL or not _newer(event, run.progress):
        return None
    progress = Progress(
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
    return Applied(run=replace(run, progress=progress))


def _estimated(run: Run, event: events.RunEstimated) -> Applied | None:
    if run.state in TERMINAL or not _newer(event, run.estimate):
        return None
    estimate = Estimate(
        token=event.token,
        seq=event.seq,
        at=event.at,
        progress=event.progress,
        eta_seconds=event.eta_seconds,
        eta_low=event.eta_low,
        eta_high=event.eta_high,
    )
    return Applied(run=replace(run, estimate=estimate))


def _lived(run: Run, event: events.RunEvent) -> Applied | None:
    if (run.life and run.life.state in TERMINAL) or not _newer(event, run.life):
        return None
    life = lived(run.life, event)
    run = replace(run, life=life, progress=_still_current(run.progress, life))
    if life.state in TERMINAL:
        run = replace(run, estimate=None)
    if isinstance(event, events.PartFinished):
        return Applied(run=run, part=_part(event))
    if isinstance(event, events.RunQueued | events.RunSkipped):
        run = replace(run, slot=event.slot, cause=event.cause, settings=event.settings)
    artifacts = _artifacts(run, event) if isinstance(event, events.RunSucceeded | events.RunSucceededV1) else ()
    where = (event.token, event.seq)
    entry = _entry(run, where, _KINDS[type(event)], event.at, **_DETAILS.get(type(event), _nothing)(event))
    return Applied(run=run, entry=entry, artifacts=artifacts)


def _still_current(progress: Progress | None, life: Life) -> Progress | None:
    """Forget the progress of a claim that has been taken over, and of a run that has ended."""
    return None if progress is None or life.state in TERMINAL or progress.token < life.token else progress


def _newer(event: events.RunEvent | events.RunProgressed | events.RunEstimated, than: object) -> bool:
    if not isinstance(than, Life | Progress | Estimate):
        return True
    return (event.token, event.seq) > (than.token, than.seq)


def _filed(run: Run, event: events.FilesExpired) -> Applied | None:
    if run.life is None:  # files have no end before the run that made them: they stand on the same topic
        return None
    # Its instant in microseconds is its place in the timeline: it has no sequence, and is told once for each removal.
    where = (FILED, int(event.at.timestamp() * 1_000_000))
    return Applied(
        run=run, entry=_entry(run, where, f"files-{event.reason}", event.at, files=len(event.objects)), removal=event
    )


def _part(event: events.PartFinished) -> Part:
    return Part(
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


def _artifacts(run: Run, event: events.RunSucceeded | events.RunSucceededV1) -> tuple[Artifact, ...]:
    return tuple(
        Artifact(
            artifact_id=uuid5(_ARTIFACTS, f"{run.run_id}/{file.name}"),
            run_id=run.run_id,
            job_id=run.job_id,
            tenant_id=run.tenant_id,
            file=file,
            created_at=event.at,
        )
        for file in event.files
    )


def _entry(run: Run, where: tuple[int, int], kind: str, at: datetime, **details: str | int | None) -> Entry:
    token, seq = where
    return Entry(run_id=run.run_id, token=token, seq=seq, kind=kind, at=at, details=details)


def _nothing(_: events.RunEvent) -> dict[str, str | int | None]:
    return {}


def _told(*names: str) -> Callable[[events.RunEvent], dict[str, str | int | None]]:
    return lambda event: {name: getattr(event, name) for name in names}


_DETAILS: dict[type[events.RunEvent], Callable[[events.RunEvent], dict[str, str | int | None]]] = {
    events.RunQueued: _told("cause"),
    events.RunStarted: _told("exporter", "attempt"),
    events.RunAttemptFailed: _told("attempt", "code", "message"),
    events.RunHandedBack: _told("exporter"),
    events.RunSucceeded: _told("rows", "bytes_raw", "bytes_packed"),
    events.RunSucceededV1: _told("rows", "bytes_raw", "bytes_packed"),
    events.RunFailed: _told("attempt", "code", "message"),
    events.RunCancelled: _told("reason"),
    events.RunSkipped: _told("reason"),
}
