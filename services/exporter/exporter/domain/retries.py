"""Retries: how long a run waits after a failed attempt (rule R5)."""

from datetime import timedelta

_FIRST_DELAY, _MAX_DELAY = timedelta(seconds=2), timedelta(minutes=5)
# A standby applies what it has deferred for 30 s by default, and other queries of its users may defer it for minutes.
_FIRST_PATIENT_DELAY, _PATIENCE = timedelta(seconds=30), 4


def get_max_attempts(attempts: int, *, patient: bool) -> int:
    """Return how often a run is tried where its job allows `attempts`; more often after a `patient` error."""
    return attempts * _PATIENCE if patient and attempts > 1 else attempts


def compute_retry_delay(attempt: int, *, patient: bool = False) -> timedelta:
    """Return the delay after failed attempt number `attempt`, counted from 1: it doubles, up to five minutes."""
    first = _FIRST_PATIENT_DELAY if patient else _FIRST_DELAY
    return min(_MAX_DELAY, first * (1 << min(attempt - 1, 16)))
