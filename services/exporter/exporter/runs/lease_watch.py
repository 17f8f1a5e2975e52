"""Watching other exporters' leases: one has expired when this exporter saw no heartbeat for its whole length (rule R2).

Instants in the database are no measure for that, since its clock may step, and differs from ours.
"""

import time
from collections.abc import Callable, Hashable, Iterable
from datetime import timedelta
from typing import Generic, Protocol, TypeVar


class WatchedLease(Hashable, Protocol):
    """A lease as it looks to others; each heartbeat of its holder makes another one."""

    @property
    def length(self) -> timedelta | None:
        """The holder's length of it."""
        ...


L = TypeVar("L", bound=WatchedLease)


class LeaseWatch(Generic[L]):
    """Remembers since when each lease has looked as it does; a process that has just started knows none yet.

    `default` is the length of leases whose holder, of an earlier release, did not record it.
    """

    def __init__(self, default: timedelta, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._default = default
        self._monotonic = monotonic
        self._seen_since: dict[L, float] = {}

    def find_expired(self, leases: Iterable[L]) -> list[L]:
        """Return which of all current leases have not changed for their length."""
        now = self._monotonic()
        self._seen_since = {lease: self._seen_since.get(lease, now) for lease in leases}
        return [lease for lease in self._seen_since if self._get_seconds_left(lease, now) <= 0]

    def get_seconds_to_expiry(self) -> float | None:
        """Return the seconds until the first of the known leases would expire; None where there is none."""
        now = self._monotonic()
        return min((self._get_seconds_left(lease, now) for lease in self._seen_since), default=None)

    def _get_seconds_left(self, lease: L, now: float) -> float:
        length = lease.length if lease.length is not None else self._default
        return self._seen_since[lease] + length.total_seconds() - now
