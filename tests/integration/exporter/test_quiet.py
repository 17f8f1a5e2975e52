"""Idle exporters do not wake each other."""

import asyncio
from datetime import timedelta

import asyncpg

from exporter.store.statements import SQL
from tests.support.servers import PASSWORD, Databases


async def test_checking_for_work_in_vain_sends_no_notification(postgres: Databases) -> None:
    admin = await postgres.create_migrated()
    dsn = postgres.dsn(admin.rpartition("/")[2], role="exporter", password=PASSWORD)
    listening, checking = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    received: asyncio.Queue[str] = asyncio.Queue()
    try:
        await listening.add_listener("exporter_run", lambda *call: received.put_nowait(str(call[3])))
        await checking.execute(SQL["cancel_unclaimed"])
        await checking.fetch(*SQL.bind("claim", exporter="exporter-1", lease=timedelta(seconds=15), tenant_limit=None))
        await checking.execute("SELECT pg_notify('exporter_run', 'the end')")
        assert await asyncio.wait_for(received.get(), 60) == "the end"
    finally:
        await listening.close()
        await checking.close()
