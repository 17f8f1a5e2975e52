"""Waiting at start until a consumer group has handled what happened while all its members were down.

A process acts on what it knows: a scheduler that was down decides slots, an exporter claims runs. Before it does, the
deletions, revocations and cancellations of the meantime must have arrived.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from shared.lifecycle import Loop, wait_for_first
from shared.observe import get_logger
from shared.topics import Topic

log = get_logger(__name__)
_CHECK_SECONDS = 0.1
_PATIENCE_SECONDS = 15.0
FindClient = Callable[[], AIOKafkaConsumer | None]
"""Returns the consumer while it has its partitions and no batch is being handled, else None."""


class CatchUpGate:
    """Holds loops back until the group has handled what some topics held when this member joined.

    It opens as well when the group has not advanced for 15 s: a message that waits, or Kafka itself when it is
    unavailable, must not stop the work of all tenants.
    """

    def __init__(self, topics: Sequence[Topic], find_client: FindClient) -> None:
        self._topics = [topic.name for topic in topics]
        self._find_client = find_client
        self._ends: Mapping[TopicPartition, int] | None = None
        self._behind = -1
        self._open = asyncio.Event()

    def find_fault(self) -> str | None:
        """Return that the process is still catching up, or None."""
        return None if self._open.is_set() else f"catching up with {', '.join(self._topics)}: {self._behind} behind"

    def hold(self, loop: Loop) -> Loop:
        """Return a loop that begins when the gate is open."""

        async def run(stopping: asyncio.Event) -> None:
            await wait_for_first(self._open, stopping)
            if not stopping.is_set():
                await loop(stopping)

        return run

    async def run(self, stopping: asyncio.Event) -> None:
        """Open the gate once the group has caught up, then wait until `stopping` is set."""
        advanced = time.monotonic()
        while not stopping.is_set() and not self._open.is_set():
            behind = await self._measure_in_time()
            if behind is not None and behind != self._behind:
                self._behind, advanced = behind, time.monotonic()
            if behind == 0:
                self._open.set()
            elif time.monotonic() - advanced > _PATIENCE_SECONDS:
                log.error("going on before having caught up: no message was handled lately", behind=self._behind)
                self._open.set()
            else:
                await wait_for_first(stopping, seconds=_CHECK_SECONDS)
        await stopping.wait()

    async def _measure_in_time(self) -> int | None:
        try:
            return await asyncio.wait_for(self._measure(), _PATIENCE_SECONDS / 3)
        except TimeoutError:
            return None

    async def _measure(self) -> int | None:
        """Return how many messages the group has not handled yet, or None where that is not known now."""
        if (client := self._find_client()) is None:
            return None
        try:
            if self._ends is None:
                partitions = [
                    TopicPartition(name, number)
                    for name in self._topics
                    for number in sorted(client.partitions_for_topic(name) or ())
                ]
                self._ends = await client.end_offsets(partitions)
            return sum([await self._count_behind(client, where, end) for where, end in self._ends.items()])
        except (KafkaError, IllegalStateError):
            return None

    async def _count_behind(self, client: AIOKafkaConsumer, where: TopicPartition, end: int) -> int:
        # Of this member's partitions the position counts: compaction may have removed the messages before the end, and
        # what is not there is never committed.
        find: Callable[[TopicPartition], Awaitable[int | None]] = client.committed
        if where in client.assignment():
            find = client.position
        return max(0, end - (await find(where) or 0)) if end else 0
