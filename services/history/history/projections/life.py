"""A run's life, event by event.

queued -> running -> succeeded | failed | cancelled, back to queued when an attempt failed or was handed back;
queued -> cancelled; and skipped, for what was never queued.
"""

from dataclasses import replace
from datetime import datetime

from history.projections.state import Life
from shared import events
from shared.events.values import RunState

STATES: dict[type[events.RunEvent], RunState] = {
    events.RunQueued: "queued",
    events.RunStarted: "running",
    events.RunAttemptFailed: "queued",
    events.RunHandedBack: "queued",
    events.RunSucceeded: "succeeded",
    events.RunFailed: "failed",
    events.RunCancelled: "cancelled",
    events.RunSkipped: "skipped",
}


def lived(life: Life | None, event: events.RunEvent) -> Life:
    """Return the life with one more event, which is newer than the last."""
    before = life or Life(token=event.token, seq=event.seq, state="queued", first_at=event.at)
    state = STATES.get(type(event), before.state)
    now = replace(before, token=event.token, seq=event.seq, state=state)
    return _told(now, event)


def _told(now: Life, event: events.RunEvent) -> Life:  # noqa: PLR0911 - one case an event
    match event:
        case events.RunQueued():
            return replace(now, queued_at=event.at)
        case events.RunStarted():
            return _started(now, event)
        case events.RunAttemptFailed():
            return replace(
                now, attempt=event.attempt, reason=event.code, message=event.message, retry_at=event.retry_at
            )
        case events.RunSucceeded():
            return _succeeded(now, event)
        case events.RunFailed():
            ended = _ended(now, event.at)
            return replace(ended, attempt=event.attempt, reason=event.code, message=event.message)
        case events.RunCancelled():
            return replace(_ended(now, event.at), reason=event.reason, ended_by=event.requested_by)
        case events.RunSkipped():
            return replace(_ended(now, event.at), reason=event.reason)
        case _:
            return now


def _started(life: Life, event: events.RunStarted) -> Life:
    return replace(
        life,
        started_at=life.started_at or event.at,
        attempt_started_at=event.at,
        attempt=event.attempt,
        exporter=event.exporter,
        window=event.window,
        recipients=event.recipients,
        retry_at=None,
    )


def _succeeded(life: Life, event: events.RunSucceeded) -> Life:
    return replace(
        _ended(life, event.at),
        rows=event.rows,
        bytes_raw=event.bytes_raw,
        bytes_packed=event.bytes_packed,
        files=len(event.files),
        manifest=event.manifest,
        data_complete_through=event.data_complete_through,
    )


def _ended(life: Life, at: datetime) -> Life:
    """Return the life at its end; what was said of failed attempts before stays in the timeline."""
    return replace(life, ended_at=at, reason=None, message=None, retry_at=None)
