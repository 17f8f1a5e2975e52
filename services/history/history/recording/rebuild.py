"""Rebuilding the run log from the events alone (H7): the recorder's own code, from the beginning, into empty tables."""

import time
from dataclasses import dataclass

from history.recording.recorder import Recorder
from history.store.rebuilding import RebuiltLog
from shared.kafka import Replay
from shared.observe import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What was rebuilt."""

    runs: int
    events: int
    seconds: float


async def rebuild(rebuilt: RebuiltLog, replay: Replay) -> Rebuilt:
    """Read everything, then, with the log held still, what has come meanwhile, and put the new log in its place.

    What the recorder is told again afterwards is not newer than the log, and changes nothing.
    """
    began, recorder = time.monotonic(), Recorder(rebuilt)
    count = await _read(recorder, replay)
    async with rebuilt.replacing():
        count += await _read(recorder, replay)
        runs = await rebuilt.count()
    log.info("run log rebuilt", runs=runs, events=count, unreadable=replay.unreadable)
    return Rebuilt(runs=runs, events=count, seconds=time.monotonic() - began)


async def _read(recorder: Recorder, replay: Replay) -> int:
    count = 0
    async for messages in replay.to_end():
        await recorder.record([message.event for message in messages])
        count += len(messages)
    return count
