"""The estimates' edge to Kafka: a faust app with one agent and no table.

Effects are idempotent and delivery is at least once; tables are avoided because they lost events at rebalances. The
only module beside the composition root that knows faust, which ships no types.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import faust

from history.errors import EstimatesStalled
from shared.codec import Received
from shared.kafka_access import KafkaAccess
from shared.lifecycle import wait_for_first
from shared.observe import CONSUMER_LAG, get_logger
from shared.topics import PROGRESS, RUNS, TRIGGERS

GROUP = "sluice.history.estimates"
TOPICS = (TRIGGERS, RUNS, PROGRESS)
log = get_logger(__name__)

_LOOK_EVERY, _STOP_WITHIN = 2.0, 10.0
# It fetches in a thread of its own; with Python's usual 5 ms each answer of the database waits that long for its turn.
_SWITCH_SECONDS = 0.0005


def new_faust_app(kafka: str | KafkaAccess) -> Any:
    """Return an app that is not started yet; settings are those that lost nothing in trials with kills."""
    access = KafkaAccess.parse(kafka)
    app: Any = faust.App(
        GROUP,
        broker=";".join(f"kafka://{address.strip()}" for address in access.bootstrap.split(",")),
        broker_credentials=_credentials(access),
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        processing_guarantee="at_least_once",
        broker_session_timeout=10,
        broker_heartbeat_interval=1,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
    )
    # It makes folders for tables even where there are none; the one it runs in may be read-only, or somebody's own.
    app._create_directories = lambda: None  # noqa: SLF001 - no setting turns it off
    return app


def _credentials(access: KafkaAccess) -> Any:
    tls = access.tls()
    if access.uses_sasl:
        return faust.SASLCredentials(
            username=access.username, password=access.password, mechanism=access.mechanism, ssl_context=tls
        )
    return faust.SSLCredentials(tls) if tls is not None else None


def attach_agents(
    app: Any, *, take: Callable[[Received], Awaitable[None]], assigned: Callable[[set[int]], None]
) -> None:
    """Give every record to `take`, one at a time, and tell `assigned` which partitions are ours after a rebalance."""
    channel = app.topic(*(topic.name for topic in TOPICS), key_serializer="raw", value_serializer="raw")

    async def follow(stream: Any) -> None:
        async for event in stream.events():
            await take(_received(event.message))

    async def on_assigned(_: Any, assigned_now: Any, **__: Any) -> None:
        assigned({where.partition for where in assigned_now})

    app.agent(channel, concurrency=1, name="follow")(follow)
    app.on_partitions_assigned.connect(on_assigned, weak=False)


def _received(message: Any) -> Received:
    headers = tuple((name, value) for name, value in message.headers or ())
    return Received(message.topic, message.partition, message.offset, message.key, message.value, headers)


class FaustLoop:
    """Runs a faust app as one loop of a process, and watches that it moves."""

    def __init__(self, app: Any, *, stalled_after: timedelta) -> None:
        self._app = app
        self._stalled_after = stalled_after.total_seconds()
        self._lag: int | None = None
        self._reached = -1
        self._moved = time.monotonic()

    def unready(self) -> str | None:
        """Return why the app is not at work, or None when it is."""
        if self._lag is None:
            return f"{GROUP}: no partitions assigned yet"
        if self._lag and time.monotonic() - self._moved > self._stalled_after / 3:
            return f"{GROUP}: {self._lag} messages wait and none was handled lately"
        return None

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping` is set. Raises EstimatesStalled when messages wait and nothing is committed."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._app.finalize()
        await self._app.start()
        try:
            while not stopping.is_set():
                if self._app.crashed:
                    raise EstimatesStalled(f"{GROUP}: the app crashed: {type(self._app.crash_reason).__name__}")
                await self._look()
                await wait_for_first(stopping, seconds=_LOOK_EVERY)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        # An agent that stands still would be waited for without end.
        stop = asyncio.create_task(self._app.stop(), name="faust stop")
        _, late = await asyncio.wait([stop], timeout=_STOP_WITHIN)
        if late:
            log.warning("faust did not stop in time", seconds=_STOP_WITHIN)
            stop.cancel()

    async def _look(self) -> None:
        ours = self._app.consumer.assignment()
        if not ours or self._app.rebalancing:
            return
        ends = await self._app.consumer.highwaters(*ours)
        # What was committed before, or here; positions say only what was fetched, handled or not.
        committed = self._app.consumer._committed_offset  # noqa: SLF001 - faust has no other way to ask
        first = await self._app.consumer.earliest_offsets(*ours)
        places = {where: committed.get(where) or first.get(where) or 0 for where in ours}
        self._lag = sum(max(0, (ends.get(where) or 0) - place) for where, place in places.items())
        CONSUMER_LAG.labels(GROUP).set(self._lag)
        reached = sum(places.values())
        if reached != self._reached or not self._lag:
            self._reached, self._moved = reached, time.monotonic()
        elif time.monotonic() - self._moved > self._stalled_after:
            raise EstimatesStalled(f"{GROUP}: {self._lag} messages wait and none was handled")
