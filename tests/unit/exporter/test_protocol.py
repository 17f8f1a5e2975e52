"""The protocol between an exporter and its worker: every message survives the pipe, and wrong ones are errors."""

import asyncio
from asyncio.subprocess import Process
from dataclasses import dataclass, field
from typing import cast, get_args

import pytest

from exporter.domain.slicing import PlannedSlice
from exporter.errors import WorkerDied, WorkerFailed, WorkerProtocolError
from exporter.worker.process import WorkerProcess
from exporter.worker.protocol import (
    WORKER_MESSAGE,
    PartStored,
    RowsCounted,
    SliceDone,
    SliceProgressed,
    SlicesPlanned,
    SourceOpened,
    WorkerAlive,
    WorkerFailure,
    WorkerMessage,
)

OPENED = SourceOpened(snapshot="00000003-1B-1", estimated={"interaction": 7, "interaction-attachment": 0})
PLANNED = SlicesPlanned(slices=(PlannedSlice(kind="contact", number=1, first=None, before="k", rows=5),))
PART = PartStored(number=1, object="runs/r/1", rows=2, bytes_raw=3, bytes_packed=4, sha256="0" * 64, last_key="k")
ALIVE = WorkerAlive()
FAILURE = WorkerFailure(code="source-unavailable", message="The source is gone.", transient=True)
MESSAGES: list[WorkerMessage] = [
    OPENED,
    PLANNED,
    RowsCounted(rows={"contact": 5}),
    SliceProgressed(rows=1, bytes_raw=2),
    PART,
    SliceDone(counted=5),
    ALIVE,
    FAILURE,
]


@dataclass
class SimulatedProcess:
    """A worker process that has sent some messages and then ended."""

    stdout: asyncio.StreamReader = field(default_factory=asyncio.StreamReader)

    async def wait(self) -> int:
        return 3


def make_worker(*messages: WorkerMessage) -> WorkerProcess:
    process = SimulatedProcess()
    for message in messages:
        process.stdout.feed_data(WORKER_MESSAGE.dump_json(message) + b"\n")
    process.stdout.feed_eof()
    return WorkerProcess(cast("Process", process))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.type)
def test_every_message_survives_the_pipe(message: WorkerMessage) -> None:
    assert WORKER_MESSAGE.validate_json(WORKER_MESSAGE.dump_json(message)) == message


def test_every_message_type_is_distinct_and_tested() -> None:
    assert {type(message) for message in MESSAGES} == set(get_args(WorkerMessage))
    assert len({message.type for message in MESSAGES}) == len(MESSAGES)


async def test_a_run_order_is_answered_by_the_snapshot_and_the_plan() -> None:
    worker = make_worker(OPENED, PLANNED)
    assert await worker.receive_opened() == OPENED
    assert await worker.receive_plan() == PLANNED


@pytest.mark.parametrize(
    "message", [message for message in MESSAGES if message not in (ALIVE, FAILURE)], ids=lambda m: m.type
)
async def test_a_message_out_of_turn_is_a_protocol_error(message: WorkerMessage) -> None:
    if not isinstance(message, SourceOpened):
        with pytest.raises(WorkerProtocolError, match=f"sent {message.type} before it opened the source"):
            await make_worker(message).receive_opened()
    if not isinstance(message, SlicesPlanned):
        with pytest.raises(WorkerProtocolError, match=f"sent {message.type} before its plan"):
            await make_worker(message).receive_plan()


async def test_R5_a_failure_is_raised_with_the_worker_s_code() -> None:
    with pytest.raises(WorkerFailed, match=r"The source is gone\.") as failed:
        await make_worker(FAILURE).receive()
    assert (failed.value.code, failed.value.transient) == (FAILURE.code, True)


async def test_R5_an_ended_worker_is_reported_with_its_exit_code() -> None:
    with pytest.raises(WorkerDied, match="exit code 3"):
        await make_worker().receive()


async def test_a_sign_of_life_is_no_answer() -> None:
    worker = make_worker(ALIVE, ALIVE, OPENED)
    assert await worker.receive_opened() == OPENED


async def test_R5_a_worker_that_has_frozen_is_given_up() -> None:
    worker = WorkerProcess(cast("Process", SimulatedProcess()), patience=0.01)
    with pytest.raises(WorkerDied, match="has sent nothing for"):
        await worker.receive()
