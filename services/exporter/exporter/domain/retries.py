"""Retries: how long a run waits after a failed attempt (rule R5)."""

from datetime import timedelta

_FIRST_DELAY, _MAX_DELAY = timedelta(seconds=2), timedelta(minutes=5)


def compute_retry_delay(attempt: int) -> timedelta:
    """Return the delay after failed attempt number `attempt`, counted from 1: it doubles, up to five minutes."""
    return min(_MAX_DELAY, _FIRST_DELAY * (1 << min(attempt - 1, 16)))
