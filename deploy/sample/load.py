"""Loads the sample into a PostgreSQL database: creates the schema and copies all rows, in one transaction."""

import os
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import astuple, dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import asyncpg

from deploy.sample.encode import TABLES, Encoded, iterate_batches
from shared.clock import SystemClock

GENERATOR = 1
"""Incremented when a seed gives other rows than before, so that an earlier sample is not mistaken for the new one."""

_SQL = Path(__file__).parent.parent / "contact-history"
_LOCK = 0x51CE5A3B
"""The advisory lock that serialises loads into one database."""

_HAS_OTHER_OBJECTS = """
    SELECT EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('suite', 'contact_history')
    )
"""

_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class SampleConflict(Exception):
    """The database contains data that loading would destroy; the text says what it is and what to do."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The sample in the database: rows by view, bytes copied, seconds taken, and whether it was loaded before."""

    rows: dict[str, int]
    bytes: int
    seconds: float
    already_loaded: bool


@dataclass(frozen=True, slots=True)
class _Settings:
    # Equal settings give equal rows.
    generator: int
    seed: int
    interactions: int
    tenants: int

    def __str__(self) -> str:
        return f"{self.interactions:,} interactions of {self.tenants} tenants, seed {self.seed}"


@dataclass(slots=True)
class _Tally:
    interactions: int = 0
    contacts: int = 0
    attachments: int = 0
    bytes: int = 0

    def add(self, batch: Encoded) -> None:
        interactions, contacts, attachments = batch.counts
        self.interactions += interactions
        self.contacts += contacts
        self.attachments += attachments
        self.bytes += sum(map(len, batch.streams))


async def load(
    dsn: str,
    *,
    interactions: int = 200_000,
    seed: int = 1,
    tenants: int = 2,
    replace: bool = False,
    reader_password: str | None = None,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Load the sample into the database of the DSN, whose role may create roles and schemas.

    Does nothing when this very sample is already loaded. `workers` (default: one per core, one for small samples)
    changes the speed, never the rows; more than one are processes, so a script must guard its start with
    `__name__ == "__main__"`. `reader_password` is always set; `progress` is called with the number of interactions
    loaded so far. Raises ValueError for sizes out of range, and SampleConflict when the database contains tables of
    another origin, or another sample and `replace` is not set.
    """
    settings = _validate(_Settings(GENERATOR, seed, interactions, tenants))
    clock = SystemClock()
    began = clock.now()
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            tally = await _find_sample(connection, settings, replace=replace)
            already_loaded = tally is not None
            if tally is None:
                tally = await _fill(connection, settings, workers or _default_workers(interactions), progress)
            if reader_password is not None:
                await _set_password(connection, reader_password)
        if not already_loaded:
            # Creates hint bits, visibility map and statistics, as a table in use has them; else the first export would.
            await connection.execute("VACUUM (ANALYZE) suite.conversation, suite.customer, suite.file")
    finally:
        await connection.close()
    return Summary(
        rows={"interaction": tally.interactions, "contact": tally.contacts, "attachment": tally.attachments},
        bytes=tally.bytes,
        seconds=(clock.now() - began).total_seconds(),
        already_loaded=already_loaded,
    )


def _default_workers(interactions: int) -> int:
    return 1 if interactions <= 20_000 else os.cpu_count() or 1


def _validate(settings: _Settings) -> _Settings:
    if not 1 <= settings.interactions <= 10_000_000:
        raise ValueError("the number of interactions must be from 1 to 10,000,000")
    if not 1 <= settings.tenants <= 1_000:
        raise ValueError("the number of tenants must be from 1 to 1,000")
    return settings


async def _find_sample(connection: _Connection, settings: _Settings, *, replace: bool) -> _Tally | None:
    """Return the tally of this very sample if it is loaded; otherwise drop another one, or raise SampleConflict."""
    if await connection.fetchval("SELECT to_regclass('suite.sample_set') IS NULL"):
        if await connection.fetchval(_HAS_OTHER_OBJECTS):
            raise SampleConflict(
                "this database has other tables or views in the schemas suite and contact_history;"
                " load the sample into another database"
            )
        return None
    row = await connection.fetchrow("SELECT * FROM suite.sample_set")
    found = row and _Settings(row["generator"], row["seed"], row["interactions"], row["tenants"])
    if row and found == settings:
        return _Tally(row["interactions"], row["contacts"], row["attachments"], row["bytes"])
    if not replace and (found or await connection.fetchval("SELECT EXISTS (SELECT FROM suite.conversation)")):
        raise SampleConflict(
            f"another sample is loaded ({found or 'rows inserted by hand'}); drop it and load this one with --replace"
        )
    # The views are dropped with the tables that they read.
    await connection.execute("DROP SCHEMA suite CASCADE")
    return None


async def _fill(connection: _Connection, settings: _Settings, workers: int, progress: Callable[[int], None]) -> _Tally:
    await connection.execute((_SQL / "sample-tables.sql").read_text(encoding="utf-8"))
    tally = _Tally()
    batches = iterate_batches(
        seed=settings.seed, interactions=settings.interactions, tenants=settings.tenants, workers=workers
    )
    async with aclosing(batches):
        async for batch in batches:
            for table, stream in zip(TABLES, batch.streams, strict=True):
                await connection.copy_to_table(
                    table.name, schema_name=table.schema, columns=table.columns, source=BytesIO(stream), format="binary"
                )
            tally.add(batch)
            progress(tally.interactions)
    # After the rows, since this creates the indexes, which is faster once than row by row.
    await connection.execute((_SQL / "views.sql").read_text(encoding="utf-8"))
    await connection.execute(
        "INSERT INTO suite.sample_set (generator, seed, interactions, tenants, contacts, attachments, bytes)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        *astuple(settings),
        tally.contacts,
        tally.attachments,
        tally.bytes,
    )
    return tally


async def _set_password(connection: _Connection, password: str) -> None:
    # ALTER ROLE takes no parameters, so the server quotes the password.
    statement = await connection.fetchval("SELECT format('ALTER ROLE sluice_reader PASSWORD %L', $1::text)", password)
    await connection.execute(statement)
