"""Reads a topic in a test, from its end at the time when the listener was opened."""

import asyncio
import secrets
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiokafka import AIOKafkaConsumer

from shared import events
from shared.codec import Received, decode

LIMIT = 60.0


class Listener:
    """Receives all messages that are sent to a topic while it is open."""

    def __init__(self, bootstrap: str, topic: str, *, from_beginning: bool = False) -> None:
        self._topic = topic
        self._consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=bootstrap,
            group_id=f"test-{secrets.token_hex(4)}",
            enable_auto_commit=False,
            auto_offset_reset="earliest" if from_beginning else "latest",
        )

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        # `latest` is resolved only when the position is read; earlier messages would be missed.
        for partition in self._consumer.assignment():
            await self._consumer.position(partition)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._consumer.stop()

    async def record(self) -> Received:
        """Return the next record."""
        found = await asyncio.wait_for(self._consumer.getone(), LIMIT)
        return Received(found.topic, found.partition, found.offset, found.key, found.value, tuple(found.headers))

    async def find(self, wanted: Callable[[events.Event], bool]) -> events.Event:
        """Return the next event for which `wanted` is true."""
        while not wanted(event := decode(await self.record()).event):
            continue
        return event
