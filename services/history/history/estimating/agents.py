"""The estimates' edge to Kafka: a faust app with one agent and without tables.

Effects are idempotent and delivery is at least once; tables are avoided because they lost events at rebalances. Apart
from the composition root, only this module knows faust, which has no type annotations.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

import faust

from history.errors import EstimatesStalled
from shared.codec import Received
from shared.errors import RestartRequired
from shared.kafka_access import KafkaAccess
from shared.lifecycle import wait_for_first
from shared.observe import CONSUMER_LAG, get_logger
from shared.topics import PROGRESS, RUNS, TRIGGERS, find_replay_topic

GROUP = "sluice.history.estimates"
TOPICS = (TRIGGERS, RUNS, PROGRESS)
log = get_logger(__name__)

_CHECK_INTERVAL, _STOP_TIMEOUT = 2.0, 10.0
# The app fetches in a thread of its own, and with Python's default of 5 ms each database answer waits that long for it.
_SWITCH_INTERVAL = 0.0005


def create_faust_app(kafka: str | KafkaAccess) -> Any:
    """Return an app that is not started; with these settings, trials with killed processes lost nothing."""
    access = KafkaAccess.parse(kafka)
    app: Any = faust.App(
        GROUP,
        broker=";".join(f"kafka://{address.strip()}" for address in access.bootstrap.split(",")),
        broker_credentials=_to_credentials(access),
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        store="memory://",
        # By default the app stops, and gives partitions up, only once every event is handled: one that waits for
        # PostgreSQL would keep it from either. The next owner of the partition handles the event again.
        stream_wait_empty=False,
        processing_guarantee="at_least_once",
        broker_session_timeout=10,
        broker_heartbeat_interval=1,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
    )
    _disable_directories(app)
    return app


def attach_agents(
    app: Any, *, handle: Callable[[Received], Awaitable[bool]], on_assigned: Callable[[set[int]], None]
) -> None:
    """Pass every record to `handle`, one at a time, and the owned partitions to `on_assigned` after each rebalance.

    `handle` returns False for a record that it has not handled because the process stops; it is not acknowledged.
    """
    replay_topic = find_replay_topic(GROUP)
    names = [*(topic.name for topic in TOPICS), replay_topic]
    channel = app.topic(*names, key_serializer="raw", value_serializer="raw")

    async def follow(stream: Any) -> None:
        # By itself the stream acknowledges each event in the end, also one whose handling was cut off when the app
        # stopped: its offset would be committed, and the event lost.
        stream.enable_acks = False
        async for event in stream.events():
            if not await handle(_to_received(event.message)):
                return
            await stream.ack(event)

    async def notify(_: Any, assigned: Any, **__: Any) -> None:
        on_assigned({each.partition for each in assigned if each.topic != replay_topic})

    app.agent(channel, concurrency=1, name="follow")(follow)
    app.on_partitions_assigned.connect(notify, weak=False)


class FaustLoop:
    """Runs a faust app as one loop of a process, with a watchdog over its progress."""

    def __init__(self, app: Any, *, stalled_after: timedelta, find_wait: Callable[[], str | None]) -> None:
        self._app = app
        self._find_wait = find_wait
        self._stalled_after = stalled_after.total_seconds()
        self._lag: int | None = None
        self._position = -1
        self._advanced_at = time.monotonic()

    def find_fault(self) -> str | None:
        """Return why the app is not ready, or None when it is."""
        if self._lag is None:
            return f"{GROUP}: no partitions assigned yet"
        if (wait := self._find_wait()) is not None:
            return wait
        if self._lag and time.monotonic() - self._advanced_at > self._stalled_after / 3:
            return f"{GROUP}: {self._lag} messages wait and none was handled recently"
        return None

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping` is set.

        Raises EstimatesStalled when messages wait and no offset is committed, or when the app crashes.
        """
        sys.setswitchinterval(_SWITCH_INTERVAL)
        self._app.finalize()
        try:
            await self._app.start()
            while not stopping.is_set():
                await self._try_check()
                await wait_for_first(stopping, seconds=_CHECK_INTERVAL)
        except RestartRequired:
            raise
        except Exception as error:
            # An app cannot be started twice.
            raise EstimatesStalled(f"{GROUP}: the app failed: {type(error).__name__}") from error
        finally:
            await self._stop()

    async def _stop(self) -> None:
        # The app waits for its agent without a time limit, even where that is blocked.
        stop = asyncio.create_task(self._app.stop(), name="faust stop")
        _, pending = await asyncio.wait([stop], timeout=_STOP_TIMEOUT)
        if pending:
            log.warning("faust did not stop in time", seconds=_STOP_TIMEOUT)
            stop.cancel()

    async def _try_check(self) -> None:
        if self._app.crashed:
            raise EstimatesStalled(f"{GROUP}: the app crashed: {type(self._app.crash_reason).__name__}")
        try:
            await self._check_progress()
        except EstimatesStalled:
            raise
        except Exception as error:
            # Kafka is unavailable, so nothing could be handled meanwhile.
            log.warning("progress not checked", error=type(error).__name__)
            self._advanced_at = time.monotonic()

    async def _check_progress(self) -> None:
        owned = self._app.consumer.assignment()
        if not owned or self._app.rebalancing:
            return
        ends = await self._app.consumer.highwaters(*owned)
        positions = await _committed_positions(self._app, owned)
        self._lag = sum(max(0, (ends.get(each) or 0) - position) for each, position in positions.items())
        CONSUMER_LAG.labels(GROUP).set(self._lag)
        position = sum(positions.values())
        if position != self._position or not self._lag or self._find_wait() is not None:
            self._position, self._advanced_at = position, time.monotonic()
        elif time.monotonic() - self._advanced_at > self._stalled_after:
            raise EstimatesStalled(f"{GROUP}: {self._lag} messages wait and none was handled")


def _to_credentials(access: KafkaAccess) -> Any:
    tls = access.create_ssl_context()
    if access.uses_sasl:
        return faust.SASLCredentials(
            username=access.username, password=access.password, mechanism=access.mechanism, ssl_context=tls
        )
    return faust.SSLCredentials(tls) if tls is not None else None


def _to_received(message: Any) -> Received:
    headers = tuple((name, value) for name, value in message.headers or ())
    return Received(message.topic, message.partition, message.offset, message.key, message.value, headers)


def _disable_directories(app: Any) -> None:
    """Keep the app from creating directories for tables that it does not have.

    It would do so in the working directory, which may be read-only or belong to something else.
    """
    app._create_directories = lambda: None  # noqa: SLF001 - no setting turns it off


async def _committed_positions(app: Any, partitions: Collection[Any]) -> Mapping[Any, int]:
    """Return the committed offset of each partition, or its first one where nothing was committed yet.

    The consumer's public positions are those of fetched messages, handled or not.
    """
    committed = app.consumer._committed_offset  # noqa: SLF001 - faust has no public way to read it
    first = await app.consumer.earliest_offsets(*partitions)
    return {each: committed.get(each) or first.get(each) or 0 for each in partitions}
