"""A worker process, seen from the exporter: started in advance, given orders, received from, killed."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from typing import assert_never

from exporter.errors import WorkerDied, WorkerFailed, WorkerProtocolError
from exporter.worker.protocol import (
    RUN_ORDER,
    SLICE_ORDER,
    WORKER_MESSAGE,
    PartStored,
    RowsCounted,
    RunOrder,
    SliceDone,
    SliceOrder,
    SliceProgressed,
    SlicesPlanned,
    SourceOpened,
    WorkerAlive,
    WorkerFailure,
    WorkerReport,
)

# The worker needs none of our settings, because its order contains everything. PATH and the like help the libraries
# find certificates.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
_MAX_LINE = 16 * 1024 * 1024
_PATIENCE_SECONDS = 60.0


class WorkerProcess:
    """A process for one run, or for helping with one."""

    def __init__(self, process: Process, *, patience: float = _PATIENCE_SECONDS) -> None:
        self._process = process
        self._patience = patience

    @classmethod
    async def start(cls) -> "WorkerProcess":
        """Start a process that waits for an order."""
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "exporter.worker",
                stdin=PIPE,
                stdout=PIPE,
                env=_ENVIRONMENT,
                limit=_MAX_LINE,
            )
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def send(self, order: RunOrder | SliceOrder) -> None:
        """Send an order. Raises WorkerDied."""
        match order:
            case RunOrder():
                line = RUN_ORDER.dump_json(order)
            case SliceOrder():
                line = SLICE_ORDER.dump_json(order)
            case _:
                assert_never(order)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._to_error() from None

    async def receive(self) -> WorkerReport:
        """Return the worker's next message.

        Raises WorkerFailed when it cannot continue, and WorkerDied when it has ended or has sent nothing for a minute.
        """
        while True:
            message = WORKER_MESSAGE.validate_json(await self._read_line())
            match message:
                case WorkerFailure():
                    raise WorkerFailed(
                        message.message, code=message.code, transient=message.transient, patient=message.patient
                    )
                case WorkerAlive():
                    continue
                case _:
                    return message

    async def _read_line(self) -> bytes:
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), self._patience)
        except TimeoutError:
            raise WorkerDied(f"the worker process has sent nothing for {self._patience:g} s") from None
        if not line.endswith(b"\n"):
            raise await self._to_error()
        return line

    async def receive_opened(self) -> SourceOpened:
        """Return the answer to a RunOrder. Raises as `receive` does, and WorkerProtocolError for another message."""
        message = await self.receive()
        match message:
            case SourceOpened():
                return message
            case SlicesPlanned() | RowsCounted() | SliceProgressed() | PartStored() | SliceDone():
                raise WorkerProtocolError(f"the worker sent {message.type} before it opened the source")
            case _:
                assert_never(message)

    async def receive_plan(self) -> SlicesPlanned:
        """Return the plan that a RunOrder requested. Raises as `receive_opened` does."""
        message = await self.receive()
        match message:
            case SlicesPlanned():
                return message
            case SourceOpened() | RowsCounted() | SliceProgressed() | PartStored() | SliceDone():
                raise WorkerProtocolError(f"the worker sent {message.type} before its plan")
            case _:
                assert_never(message)

    async def kill(self) -> None:
        """End the process at once and wait until it is gone; does nothing when repeated."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def _to_error(self) -> WorkerDied:
        return WorkerDied(f"the worker process ended with exit code {await self._process.wait()}")
