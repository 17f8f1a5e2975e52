"""Exporters with nothing to do leave each other in peace."""

import asyncio
from datetime import timedelta

import asyncpg

from exporter.store.statements import SQL
from shared.postgres import migrate
from shared.provision import ROLES, ProvisionSettings, provision
from tests.support.servers import Databases


async def test_looking_for_work_in_vain_wakes_nobody(postgres: Databases) -> None:
    admin = await postgres.fresh()
    await provision(ProvisionSettings(admin_dsn=admin, **{f"{role}_password": "test-password" for role in ROLES}))
    dsn = postgres.dsn(admin.rpartition("/")[2], role="exporter", password="test-password")
    await migrate(dsn, "exporter")
    listening, looking = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    heard: asyncio.Queue[str] = asyncio.Queue()
    try:
        await listening.add_listener("exporter_run", lambda *said: heard.put_nowait(str(said[3])))
        await looking.execute(SQL["cancel_unclaimed"])
        await looking.fetch(*SQL.bind("claim", exporter="exporter-1", lease=timedelta(seconds=15), tenant_limit=None))
        await looking.execute("SELECT pg_notify('exporter_run', 'the end')")
        assert await asyncio.wait_for(heard.get(), 60) == "the end"
    finally:
        await listening.close()
        await looking.close()
