"""What the API writes: requests to other services, through the outbox."""

from collections.abc import Iterable
from datetime import datetime

from history.store import SOURCE
from shared import outbox
from shared.events import Event
from shared.postgres import Pool, transaction


class Requests:
    """Events that the API causes."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def send(self, events: Iterable[Event], now: datetime) -> None:
        """Write events to be published."""
        async with transaction(self._pool) as database:
            await outbox.write(database, events, source=SOURCE, at=now)
