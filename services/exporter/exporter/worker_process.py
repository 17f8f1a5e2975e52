"""A worker's process, seen from the exporter: started ahead of need, given one order, listened to, killed."""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator

from exporter.errors import WorkerDied
from exporter.protocol import ORDER, SAID, Order, Said

# The worker needs no setting of ours: its order has all. PATH and the like help the libraries find certificates.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("SLUICE_")}


class WorkerProcess:
    """One process for one run."""

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
                limit=16 * 1024 * 1024,
            )
        )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    async def carry_out(self, order: Order) -> AsyncIterator[Said]:
        """Give the order and yield what the worker says. Raises WorkerDied if it ends without a last word."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(ORDER.dump_json(order) + b"\n")
        await self._process.stdin.drain()
        last: Said | None = None
        while line := await self._process.stdout.readline():
            last = SAID.validate_json(line)
            yield last
            if last.kind in {"done", "failed"}:
                return
        code = await self._process.wait()
        raise WorkerDied(f"the worker process ended with exit code {code}")

    async def kill(self) -> None:
        """End the process at once and wait until it is gone; a second time does nothing."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
