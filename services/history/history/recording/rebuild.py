"""The run log rebuilt from the events alone (H7): the recorder's own code, from the beginning, into empty tables."""

import time
from dataclasses import dataclass

from history.recording.recorder import Recorder
from history.store.rebuilding import RebuiltLog
from shared.kafka import Replay
from shared.observe import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildResult:
    """How many runs were rebuilt, from how many events, and how long it took."""

    runs: int
    events: int
    seconds: float


async def rebuild_log(rebuilt: RebuiltLog, replay: Replay) -> RebuildResult:
    """Replay all topics into `rebuilt`; then, with the log locked, what has arrived since, and replace the log.

    Events that the recorder handles again afterwards are not newer than the log, so they change nothing. Raises
    PostgresUnavailable or KafkaUnavailable.
    """
    started, recorder = time.monotonic(), Recorder(rebuilt)
    count = await _replay_to_end(recorder, replay)
    async with rebuilt.replace_log():
        count += await _replay_to_end(recorder, replay)
        runs = await rebuilt.count_runs()
    log.info("run log rebuilt", runs=runs, events=count, unreadable=replay.unreadable)
    return RebuildResult(runs=runs, events=count, seconds=time.monotonic() - started)


async def _replay_to_end(recorder: Recorder, replay: Replay) -> int:
    count = 0
    async for messages in replay.read_to_end():
        await recorder.record([message.event for message in messages])
        count += len(messages)
    return count
