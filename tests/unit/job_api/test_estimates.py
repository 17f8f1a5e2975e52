"""J12: an estimate has two seconds, however the source is silent, and its failure is a reason."""

import asyncio

from job_api.service import Estimates
from job_api.source import Source
from shared.events import JobSettings, Timeframe

SETTINGS = JobSettings(
    title="Nightly", source="contact_history", type="interaction", source_tenant=1, timeframe=Timeframe()
)
PATIENCE = 60.0
"""Not a measurement: a limit that did not hold would wait for longer."""


class Stuck(Source):
    """A source whose connection cannot even be given up."""

    def __init__(self) -> None:
        super().__init__("postgresql://nobody@nowhere/nothing")
        self.freed = asyncio.Event()

    async def estimate(self, settings: JobSettings) -> tuple[int, int]:
        """Wait, and wait again when told to stop."""
        try:
            await self.freed.wait()
        finally:
            await self.freed.wait()
        return 1, 1


async def test_J12_a_source_that_takes_a_connection_and_says_nothing_is_given_up() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(PATIENCE):
        found = await Estimates(Source(f"postgresql://reader@127.0.0.1:{port}/history")).of(SETTINGS)
    assert (found.rows, found.bytes) == (None, None)
    assert "in time" in (found.reason or "")
    server.close()


async def test_J12_not_even_the_end_of_a_question_is_waited_for() -> None:
    source = Stuck()
    async with asyncio.timeout(PATIENCE):
        found = await Estimates(source).of(SETTINGS)
    assert "in time" in (found.reason or "")
    source.freed.set()


async def test_J12_a_source_that_is_not_there_is_a_reason() -> None:
    async with asyncio.timeout(PATIENCE):
        found = await Estimates(Source("postgresql://reader@127.0.0.1:1/history")).of(SETTINGS)
    assert found.rows is None
    assert "away" in (found.reason or "")
