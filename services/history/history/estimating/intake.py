"""Between the agent and the estimates: decoding, another try for what may pass, dead letters for the rest."""

import asyncio

from history.estimating.estimates import Estimates
from shared.clock import Clock, SystemClock
from shared.codec import Received, decode
from shared.errors import InvalidMessage, TooManyDeadLetters, TransientError
from shared.kafka import Producer
from shared.kafka.dead_letters import DeadLetterLimit, dead_letter
from shared.lifecycle import wait_for_first
from shared.observe import CONSUMED, CONSUMER_RETRIES, DEAD_LETTERS, get_logger
from shared.topics import TOPICS

log = get_logger(__name__)

_FIRST_BACKOFF, _LAST_BACKOFF = 0.2, 10.0


class Intake:
    """Takes records one by one and never raises into the agent; too many dead letters end the process instead."""

    def __init__(
        self,
        estimates: Estimates,
        producer: Producer,
        *,
        group: str,
        stopping: asyncio.Event,
        clock: Clock | None = None,
    ) -> None:
        self._estimates = estimates
        self._producer = producer
        self._group = group
        self._stopping = stopping
        self._clock = clock or SystemClock()
        self._limit = DeadLetterLimit()
        self._too_many = asyncio.Event()
        self._counted = {topic.name: CONSUMED.labels(group, topic.name) for topic in TOPICS}

    async def take(self, record: Received) -> None:
        """Handle a record, or set it aside; while something needed is away, wait for it."""
        backoff = _FIRST_BACKOFF
        while not self._stopping.is_set():
            try:
                await self._handle(record)
            except TransientError as error:
                CONSUMER_RETRIES.labels(self._group).inc()
                log.warning("record put off", group=self._group, error=str(error), retry_in_seconds=backoff)
                await wait_for_first(self._stopping, seconds=backoff)
                backoff = min(_LAST_BACKOFF, backoff * 2)
            else:
                self._counted[record.topic].inc()
                return
        # Not handled: it must not be acknowledged, so the agent is held until the process ends.
        await asyncio.Event().wait()

    async def run(self, stopping: asyncio.Event) -> None:
        """Watch until `stopping` is set. Raises TooManyDeadLetters."""
        await wait_for_first(self._too_many, stopping)
        if self._too_many.is_set():
            raise TooManyDeadLetters(f"{self._group}: too many messages refused")

    async def _handle(self, record: Received) -> None:
        try:
            await self._estimates.take(decode(record).event, record.partition)
        except TransientError:
            raise
        except InvalidMessage as error:
            await self._bury(record, str(error))
        except Exception as error:
            log.exception("message refused", group=self._group, topic=record.topic)
            await self._bury(record, type(error).__name__)

    async def _bury(self, record: Received, reason: str) -> None:
        now = self._clock.now()
        if self._limit.count(now):
            self._too_many.set()
            await asyncio.Event().wait()
        await self._producer.send([dead_letter(record, group=self._group, reason=reason, at=now)])
        DEAD_LETTERS.labels(self._group, record.topic).inc()
        log.error("dead letter", group=self._group, topic=record.topic, offset=record.offset, reason=reason)
