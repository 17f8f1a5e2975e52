"""Runs the measured process during a measurement."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from deploy.local.ports import free_port
from tests.bench.api.load import ask, request
from tests.support.wait import eventually


@asynccontextmanager
async def serving(dsns: Sequence[str]) -> AsyncIterator[tuple[int, int]]:
    """Serve the job API and the bare route, with the DSNs of job-api's two roles; provide the port of each."""
    api, plain = free_port(), free_port()
    argv = [sys.executable, "-m", "tests.bench.api.server", *dsns, str(api), str(plain)]
    server = await asyncio.create_subprocess_exec(*argv)
    try:

        async def up() -> bool:
            try:
                return bool(await ask(plain, request("GET", "/bare")))
            except OSError:
                return False

        await eventually(up)
        yield api, plain
    finally:
        server.terminate()
        await server.wait()
