"""A run's life, event by event.

queued -> running -> succeeded | failed | cancelled, back to queued when an attempt failed or was handed back;
queued -> cancelled; and skipped, for what was never queued.
"""

from dataclasses import replace
from typing import Any

from history.recording.projections.state import Life
from shared import events


def lived(life: Life | None, event: events.RunEvent) -> Life:
    """Return the life with one more event, which is newer than the last."""
    before = life or Life(token=event.token, seq=event.seq, state="queued", first_at=event.at)
    state = events.state_after(event) or before.state
    return replace(before, token=event.token, seq=event.seq, state=state, **_told(before, event))


def _told(life: Life, event: events.RunEvent) -> dict[str, Any]:
    match event:
        case events.RunQueued():
            return {"queued_at": event.at}
        case events.RunStarted():
            return _started(life, event)
        case events.RunAttemptFailed():
            failure = {"reason": event.code, "message": event.message}
            return {"attempt": event.attempt, "retry_at": event.retry_at, **failure}
        case events.PartFinished() | events.RunHandedBack():
            return {}
    # What was said of failed attempts before stays in the timeline; an end has its own words.
    return {"ended_at": event.at, "reason": None, "message": None, "retry_at": None, **_end(event)}


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


def _started(life: Life, event: events.RunStarted) -> dict[str, Any]:
    return {
        "started_at": life.started_at or event.at,
        "attempt_started_at": event.at,
        "attempt": event.attempt,
        "exporter": event.exporter,
        "window": event.window,
        "recipients": event.recipients,
        "retry_at": None,
    }
