"""Limits on the requests per second of identities and tenants, and all limits together."""

import math
from dataclasses import dataclass, field

from cachetools import LRUCache

from shared.auth import Identity
from shared.clock import Clock
from shared.http.places import DEFAULT_ALLOWANCES, Allowances
from shared.http.problems import Problem, ProblemType

_BUCKETS_MAX = 20_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class RateLimiter:
    """Token buckets by name, in this process: each holds `burst` tokens and gains `per_second`; time is an argument.

    The bucket least recently used is forgotten first, and would be full again after `burst / per_second` seconds.
    """

    def __init__(self, *, per_second: float, burst: int, size: int = _BUCKETS_MAX) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: LRUCache[object, _Bucket] = LRUCache(size)

    def __len__(self) -> int:
        """Return how many buckets are kept."""
        return len(self._buckets)

    def take(self, name: object, now: float) -> float:
        """Take one token; return 0, or the seconds until there is one. `now` is in seconds."""
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + max(0.0, now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / self._per_second
        bucket.tokens -= 1
        return 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests a second, after a burst of so many at once."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """What identities and tenants may ask of one process."""

    per_identity: Rate = Rate(200, 1_000)
    per_tenant: Rate = Rate(1_000, 5_000)
    allowances: Allowances = field(default_factory=lambda: DEFAULT_ALLOWANCES)


DEFAULT_LIMITS = HttpLimits()


class RequestRates:
    """Holds each identity, and all identities of a tenant together, to their rates of requests."""

    def __init__(self, limits: HttpLimits, clock: Clock) -> None:
        rates = (limits.per_identity, limits.per_tenant)
        self._limiters = [RateLimiter(per_second=each.per_second, burst=each.burst) for each in rates]
        self._clock = clock

    def count(self, identity: Identity) -> None:
        """Count a request of an identity. Raises Problem 429 above the rate of the identity or its tenant."""
        now = self._clock.now().timestamp()
        for limiter, name in zip(self._limiters, (identity.identity_id, identity.tenant_id), strict=True):
            if seconds := limiter.take(name, now):
                headers = {"Retry-After": str(math.ceil(seconds))}
                detail = "Rate limit exceeded: retry after the time given."
                raise Problem(ProblemType.TOO_MANY_REQUESTS, detail, headers=headers)
