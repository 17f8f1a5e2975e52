"""The servers of the measurements: a Kafka and a PostgreSQL with history's schema, removed afterwards."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.reaper import Reaper
from tests.support.servers import Databases
from tests.support.system import System


@asynccontextmanager
async def open_system() -> AsyncIterator[System]:
    """Open a system with topics and an empty history schema; no process of it is started."""
    with Reaper() as reaper:
        folder = reaper.temporary_folder("sluice-bench-")
        kafka, postgres = Kafka(folder / "kafka", reaper), Postgres(folder / "postgres", reaper)
        bootstrap, admin = kafka.start(), postgres.start()
        logs = folder / "logs"
        logs.mkdir()
        system = await System.prepare(logs, bootstrap, Databases(admin), reaper)
        try:
            yield system
        finally:
            system.stop()
            kafka.stop()
            postgres.stop()
