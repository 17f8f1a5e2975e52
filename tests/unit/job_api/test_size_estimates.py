"""J12: an estimate takes two seconds at most, however the source stalls, and its failure is a reason."""

import asyncio

from job_api.service import SizeEstimator
from job_api.source import ExportSize, SourceStatistics
from shared.events import JobSettings, Timeframe

SETTINGS = JobSettings(
    title="Nightly", source="contact_history", type="interaction", source_tenant=1, timeframe=Timeframe()
)
TEST_LIMIT = 60.0
"""Not a measurement: without the time limit, the test would wait longer."""


class StuckSource(SourceStatistics):
    """A source whose connection cannot even be cancelled."""

    def __init__(self) -> None:
        super().__init__("postgresql://nobody@nowhere/nothing")
        self.freed = asyncio.Event()

    async def estimate(self, settings: JobSettings) -> ExportSize:
        """Wait, and wait again when cancelled."""
        try:
            await self.freed.wait()
        finally:
            await self.freed.wait()
        return ExportSize(1, 1, 0, 0)


async def test_J12_a_source_that_accepts_a_connection_and_never_answers_is_abandoned() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(TEST_LIMIT):
        found = await SizeEstimator(SourceStatistics(f"postgresql://reader@127.0.0.1:{port}/history")).estimate(
            SETTINGS
        )
    assert (found.rows, found.bytes) == (None, None)
    assert "in time" in (found.reason or "")
    server.close()


async def test_J12_not_even_the_end_of_a_cancelled_query_is_waited_for() -> None:
    source = StuckSource()
    async with asyncio.timeout(TEST_LIMIT):
        found = await SizeEstimator(source).estimate(SETTINGS)
    assert "in time" in (found.reason or "")
    source.freed.set()


async def test_J12_an_unreachable_source_is_a_reason() -> None:
    async with asyncio.timeout(TEST_LIMIT):
        found = await SizeEstimator(SourceStatistics("postgresql://reader@127.0.0.1:1/history")).estimate(SETTINGS)
    assert found.rows is None
    assert "unavailable" in (found.reason or "")
