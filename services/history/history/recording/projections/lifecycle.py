"""A run's lifecycle, advanced event by event; `shared.events.state_after` defines the state after each event."""

from dataclasses import replace
from typing import Any

from history.recording.projections.state import RunLifecycle
from shared import events


def advance_lifecycle(lifecycle: RunLifecycle | None, event: events.RunEvent) -> RunLifecycle:
    """Return the lifecycle after an event that is newer than the last one."""
    before = lifecycle or RunLifecycle(token=event.token, seq=event.seq, state="queued", first_at=event.at)
    state = events.state_after(event) or before.state
    return replace(before, token=event.token, seq=event.seq, state=state, **_changes(before, event))


def _changes(lifecycle: RunLifecycle, event: events.RunEvent) -> dict[str, Any]:
    match event:
        case events.RunQueued():
            return {"queued_at": event.at}
        case events.RunStarted():
            return _start(lifecycle, event)
        case events.RunAttemptFailed():
            failure = {"reason": event.code, "message": event.message}
            return {"attempt": event.attempt, "retry_at": event.retry_at, **failure}
        case events.PartFinished() | events.RunHandedBack():
            return {}
    # The reasons of earlier failed attempts stay in the timeline; the end has its own.
    return {"ended_at": event.at, "reason": None, "message": None, "retry_at": None, **_end(event)}


def _start(lifecycle: RunLifecycle, event: events.RunStarted) -> dict[str, Any]:
    return {
        "started_at": lifecycle.started_at or event.at,
        "attempt_started_at": event.at,
        "attempt": event.attempt,
        "exporter": event.exporter,
        "window": event.window,
        "recipients": event.recipients,
        "retry_at": None,
    }


def _end(event: events.RunEvent) -> dict[str, Any]:
    match event:
        case events.RunSucceeded() | events.RunSucceededV1():
            same = ("rows", "bytes_raw", "bytes_packed", "manifest", "data_complete_through")
            return {"files": len(event.files), **{name: getattr(event, name) for name in same}}
        case events.RunFailed():
            return {"attempt": event.attempt, "reason": event.code, "message": event.message}
        case events.RunCancelled():
            return {"reason": event.reason, "ended_by": event.requested_by}
        case events.RunSkipped():
            return {"reason": event.reason}
    return {}
