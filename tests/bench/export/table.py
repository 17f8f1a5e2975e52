"""The exported contact history: the sample, copied by the server until it has enough rows."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from deploy.local.postgres import ADMIN, Postgres
from deploy.local.reaper import Reaper
from deploy.sample.load import load
from deploy.sample.rows import FIRST_TENANT

TENANT = FIRST_TENANT
_BASE = 30_000
_KEYS = {
    "conversation": ("conversation_key", "answers_key", "thread_key"),
    "file": ("file_key", "conversation_key"),
}


@dataclass
class BenchSource:
    """A PostgreSQL server with the tables: the reader's DSN and the owner's."""

    dsn: str
    admin_dsn: str
    rows: int = _BASE

    async def grow(self, rows: int) -> None:
        """Copy the sample a whole number of times until there are about `rows` interactions."""
        connection = await asyncpg.connect(self.admin_dsn)
        first, last = self.rows // _BASE, -(-rows // _BASE) - 1
        for table, keys in _KEYS.items():
            columns = await connection.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum",
                f"suite.{table}",
            )
            names = [str(row[0]) for row in columns]
            # The copy's number comes first, so that a row and its copies are far apart in the file: adjacent copies
            # would compress better than any real data.
            values = ", ".join(f"'copy' || lpad(n::text, 4, '0') || {name}" if name in keys else name for name in names)
            await connection.execute(
                f"INSERT INTO suite.{table} ({', '.join(names)}) SELECT {values} "
                f"FROM generate_series({first}, {last}) n, suite.{table} WHERE {keys[0]} NOT LIKE 'copy%' ORDER BY n"
            )
        await connection.execute("VACUUM (ANALYZE) suite.conversation, suite.file")
        self.rows = int(await connection.fetchval("SELECT count(*) FROM suite.conversation"))
        await connection.close()


@asynccontextmanager
async def open_source(reaper: Reaper, folder: Path, rows: int) -> AsyncIterator[BenchSource]:
    """Start a server with about `rows` interactions, and stop it at the end."""
    server = Postgres(folder / "postgres", reaper, durable=False)
    admin_dsn = server.start()
    try:
        password = secrets.token_hex(12)
        await load(admin_dsn, interactions=_BASE, tenants=1, reader_password=password)
        source = BenchSource(server.dsn("sluice_reader", password, ADMIN), admin_dsn)
        await source.grow(rows)
        yield source
    finally:
        server.stop()
