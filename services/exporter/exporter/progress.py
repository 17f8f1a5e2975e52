"""Telling Kafka how far a run is: the newest word only, once a second at most, every five seconds at least."""

import asyncio
from contextlib import suppress

from exporter.protocol import Progress
from exporter.store import SOURCE, Claim
from shared.clock import Clock
from shared.codec import encode
from shared.errors import TransientError
from shared.events import RunProgressed
from shared.kafka import Producer
from shared.lifecycle import first_of
from shared.observe import logger

log = logger(__name__)
_AT_MOST, _AT_LEAST = 1.0, 5.0


class ProgressTeller:
    """One run's progress; losing a message is harmless, so nothing waits for this."""

    def __init__(self, producer: Producer, claim: Claim, clock: Clock) -> None:
        self._producer = producer
        self._claim = claim
        self._clock = clock
        self._newest: Progress | None = None
        self._fresh = asyncio.Event()
        self._seq = 0

    def take(self, progress: Progress) -> None:
        """Note the newest word."""
        self._newest = progress
        self._fresh.set()

    async def run(self) -> None:
        """Send until cancelled; the same again where nothing moves, as a sign of life."""
        while True:
            await first_of(self._fresh, seconds=_AT_LEAST)
            self._fresh.clear()
            if self._newest is not None:
                await self._send(self._newest)
            await self._clock.sleep(_AT_MOST)

    async def last(self) -> None:
        """Send the newest word now, if Kafka takes it at once."""
        if self._newest is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._send(self._newest), 2.0)

    async def _send(self, progress: Progress) -> None:
        self._seq += 1
        now = self._clock.now()
        event = RunProgressed(
            job_id=self._claim.job_id,
            tenant_id=self._claim.tenant_id,
            run_id=self._claim.run_id,
            token=self._claim.token,
            seq=self._seq,
            at=now,
            phase=progress.phase,
            units_done=progress.units_done,
            units_total=progress.units_total,
            total_exact=progress.total_exact,
            bytes_done=progress.bytes_done,
        )
        try:
            await self._producer.send([encode(event, source=SOURCE, at=now)])
        except TransientError as error:
            log.warning("progress not told", error=str(error))
