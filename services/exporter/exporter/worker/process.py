"""A worker's process, seen from the exporter: started ahead of need, given orders, listened to, killed."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process

from exporter.errors import ExportError, WorkerDied
from exporter.worker.protocol import ORDER, SAID, SLICE_ORDER, Failed, Order, Said, SliceOrder

# The worker needs no setting of ours: its order has all. PATH and the like help the libraries find certificates.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}
_LONGEST_LINE = 16 * 1024 * 1024


class FailedByWorker(ExportError):
    """The worker said that it cannot go on."""

    def __init__(self, said: Failed) -> None:
        super().__init__(said.message)
        self.code = said.code
        self.transient = said.transient


class WorkerProcess:
    """One process for one run, or for helping with one."""

    def __init__(self, process: Process) -> None:
        self._process = process

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
                limit=_LONGEST_LINE,
            )
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def order(self, order: Order | SliceOrder) -> None:
        """Send an order. Raises WorkerDied."""
        line = ORDER.dump_json(order) if isinstance(order, Order) else SLICE_ORDER.dump_json(order)
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(line + b"\n")
            await self._process.stdin.drain()
        except (BrokenPipeError, ConnectionResetError):
            raise await self._died() from None

    async def hear(self) -> Said:
        """Return what the worker says next. Raises FailedByWorker when it cannot go on, WorkerDied when it ended."""
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise await self._died()
        said = SAID.validate_json(line)
        if isinstance(said, Failed):
            raise FailedByWorker(said)
        return said

    async def kill(self) -> None:
        """End the process at once and wait until it is gone; a second time does nothing."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()

    async def _died(self) -> WorkerDied:
        return WorkerDied(f"the worker process ended with exit code {await self._process.wait()}")
