"""Attempts at the door, counted for all processes together."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from job_api.store.database import SQL
from shared.postgres import Connection


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many attempts at once, and another one each so often."""

    burst: int
    another_each: timedelta


async def take(database: Connection, name: str, allowance: Allowance, now: datetime) -> timedelta | None:
    """Count an attempt; return None, or how long to wait for the next. One that is refused does not count."""
    row = await database.fetchrow(SQL["lock_bucket"], _key(name), now, float(allowance.burst))
    assert row is not None
    gained = max(timedelta(0), now - row["at"]) / allowance.another_each
    tokens = min(float(allowance.burst), row["tokens"] + gained)
    if tokens < 1:
        return timedelta(seconds=allowance.another_each.total_seconds() * (1 - tokens))
    await database.execute(SQL["save_bucket"], _key(name), tokens - 1, now)
    return None


async def give_back(database: Connection, name: str) -> None:
    """Forget one attempt, which was no guess."""
    await database.execute(SQL["give_token_back"], _key(name))


def _key(name: str) -> str:
    # Somebody may type a password where the name belongs: it must not be readable here.
    return hashlib.sha256(name.encode()).hexdigest()
