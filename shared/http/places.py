"""Places: how much each identity and each tenant may have under way at the same time in one process.

A request takes a place from its authentication to its end; a live stream, a download and an archive have places of
their own, so that many of these leave room for requests.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from shared.http.problems import Problem, ProblemType

RETRY_SECONDS = 5
Holder = tuple[UUID | str, UUID | None]
"""Who holds a place: an identity and its tenant, or the network address of a stranger who follows a link."""


class Use(StrEnum):
    """What a place is for."""

    REQUEST = "requests"
    STREAM = "live streams"
    DOWNLOAD = "downloads"
    ARCHIVE = "archives"


@dataclass(frozen=True, slots=True)
class Allowance:
    """The most places that one identity, and all identities of one tenant, may hold."""

    per_identity: int
    per_tenant: int


Allowances = Mapping[Use, Allowance]
DEFAULT_ALLOWANCES: Allowances = {
    Use.REQUEST: Allowance(100, 300),
    Use.STREAM: Allowance(20, 300),
    Use.DOWNLOAD: Allowance(16, 100),
    Use.ARCHIVE: Allowance(4, 16),
}


@dataclass(slots=True, eq=False)
class Place:
    """A place that a request holds; `ended` is set when a newer stream of the same identity takes it over."""

    holder: Holder
    use: Use
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Places:
    """The places that are taken in this process."""

    def __init__(self, allowances: Allowances = DEFAULT_ALLOWANCES) -> None:
        self._allowances = allowances
        self._taken: Counter[tuple[Use, UUID | str]] = Counter()
        self._streams: dict[UUID | str, dict[Place, None]] = {}

    def count_taken(self, use: Use, holder: UUID | str) -> int:
        """Return how many places of a use an identity, a tenant or an address holds."""
        return self._taken[use, holder]

    def take(self, holder: Holder, use: Use) -> Place:
        """Take a place. Raises Problem 429 where there is none; the oldest stream of an identity gives way instead."""
        if not self._has_room(holder, use) and holder[0] in self._streams and use is Use.STREAM:
            oldest = next(iter(self._streams[holder[0]]))
            self.leave(oldest)
            oldest.ended.set()
        if not self._has_room(holder, use):
            raise _no_room(use, self._allowances[use])
        place = Place(holder, use)
        self._count(place, 1)
        if use is Use.STREAM:
            self._streams.setdefault(holder[0], {})[place] = None
        return place

    def leave(self, place: Place) -> None:
        """Give a place back; a stream that was ended has given it back before."""
        if place.ended.is_set():
            return
        self._count(place, -1)
        if place.use is Use.STREAM:
            streams = self._streams[place.holder[0]]
            del streams[place]
            if not streams:
                del self._streams[place.holder[0]]

    def _has_room(self, holder: Holder, use: Use) -> bool:
        identity, tenant = holder
        allowance = self._allowances[use]
        if self._taken[use, identity] >= allowance.per_identity:
            return False
        return tenant is None or self._taken[use, tenant] < allowance.per_tenant

    def _count(self, place: Place, change: int) -> None:
        for holder in place.holder:
            if holder is not None:
                self._taken[place.use, holder] += change
                if not self._taken[place.use, holder]:
                    del self._taken[place.use, holder]


def _no_room(use: Use, allowance: Allowance) -> Problem:
    detail = (
        f"Too many {use} at the same time: at most {allowance.per_identity} for each user or key and "
        f"{allowance.per_tenant} for a tenant. Retry when one has ended."
    )
    return Problem(ProblemType.TOO_MANY_REQUESTS, detail, headers={"Retry-After": str(RETRY_SECONDS)})
