"""Token buckets of login attempts, shared by all processes."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from job_api.store.database import SQL
from shared.postgres import Connection


@dataclass(frozen=True, slots=True)
class AttemptLimit:
    """How many attempts are accepted at once, and how long it takes to regain one."""

    burst: int
    refill_interval: timedelta


async def take_token(database: Connection, name: str, limit: AttemptLimit, *, now: datetime) -> timedelta | None:
    """Count an attempt; return None, or how long to wait for the next if the limit is exceeded.

    An attempt that exceeds the limit is not counted.
    """
    row = await database.fetchrow(SQL["lock_bucket"], _hash(name), now, float(limit.burst))
    assert row is not None
    gained = max(timedelta(0), now - row["at"]) / limit.refill_interval
    tokens = min(float(limit.burst), row["tokens"] + gained)
    if tokens < 1:
        return timedelta(seconds=limit.refill_interval.total_seconds() * (1 - tokens))
    await database.execute(SQL["save_bucket"], _hash(name), tokens - 1, now)
    return None


async def return_token(database: Connection, name: str) -> None:
    """Return the token of an attempt that succeeded."""
    await database.execute(SQL["return_token"], _hash(name))


def _hash(name: str) -> str:
    # Users sometimes type a password into the name field: it must not be readable here.
    return hashlib.sha256(name.encode()).hexdigest()
