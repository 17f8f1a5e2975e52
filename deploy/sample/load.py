"""Loads the sample into a PostgreSQL database: makes what is missing and copies all rows, in one transaction."""

import os
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import astuple, dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import asyncpg

from deploy.sample.encode import TABLES, Encoded, encoded_batches
from shared.clock import SystemClock

GENERATOR = 1
"""Goes up whenever the same seed gives other rows than before, so that a sample loaded earlier is not taken for it."""

_SQL = Path(__file__).parent.parent / "contact-history"
_LOCK = 0x51CE5A3B
"""Loads into one database take turns on this advisory lock."""

_ANYTHING_ELSE = """
    SELECT EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('suite', 'contact_history')
    )
"""

_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class SampleRefusedError(Exception):
    """The database holds something that loading would harm; the message says what it is and what to do."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What the database holds after a load: rows by view, bytes copied, seconds taken, whether it was there before."""

    rows: dict[str, int]
    bytes: int
    seconds: float
    was_there: bool


@dataclass(frozen=True, slots=True)
class _Settings:
    # Equal settings, equal rows.
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

    Leaves a sample alone that is the one asked for. `workers` (default: one a core, for small samples one) changes the
    speed, never the rows; several are processes, so a script must guard its start with `__name__ == "__main__"`.
    `reader_password` is given to sluice_reader in any case; `progress` is told how many interactions are loaded.
    Raises ValueError for sizes out of range, and SampleRefusedError when another sample is there and `replace` is not
    set, or tables that are not the sample's.
    """
    settings = _checked(_Settings(GENERATOR, seed, interactions, tenants))
    clock = SystemClock()
    began = clock.now()
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            tally = await _find(connection, settings, replace=replace)
            was_there = tally is not None
            if tally is None:
                tally = await _fill(connection, settings, workers or _workers(interactions), progress)
            if reader_password is not None:
                await _set_password(connection, reader_password)
        if not was_there:
            # Hint bits, visibility map, statistics: a table in use has them, and else the first export would make them.
            await connection.execute("VACUUM (ANALYZE) suite.conversation, suite.customer, suite.file")
    finally:
        await connection.close()
    return Summary(
        rows={"interaction": tally.interactions, "contact": tally.contacts, "attachment": tally.attachments},
        bytes=tally.bytes,
        seconds=(clock.now() - began).total_seconds(),
        was_there=was_there,
    )


def _workers(interactions: int) -> int:
    return 1 if interactions <= 20_000 else os.cpu_count() or 1


def _checked(settings: _Settings) -> _Settings:
    if not 1 <= settings.interactions <= 10_000_000:
        raise ValueError("the number of interactions must be from 1 to 10,000,000")
    if not 1 <= settings.tenants <= 1_000:
        raise ValueError("the number of tenants must be from 1 to 1,000")
    return settings


async def _find(connection: _Connection, settings: _Settings, *, replace: bool) -> _Tally | None:
    """Return what an earlier load left if it is the sample wanted; make room for that one, or refuse."""
    if await connection.fetchval("SELECT to_regclass('suite.sample_set') IS NULL"):
        if await connection.fetchval(_ANYTHING_ELSE):
            raise SampleRefusedError(
                "this database has tables or views in the schemas suite and contact_history that the sample did not"
                " make; load into another database"
            )
        return None
    row = await connection.fetchrow("SELECT * FROM suite.sample_set")
    there = row and _Settings(row["generator"], row["seed"], row["interactions"], row["tenants"])
    if row and there == settings:
        return _Tally(row["interactions"], row["contacts"], row["attachments"], row["bytes"])
    if not replace and (there or await connection.fetchval("SELECT EXISTS (SELECT FROM suite.conversation)")):
        raise SampleRefusedError(
            f"another sample is loaded ({there or 'rows written by hand'}); to drop it and load this one, say --replace"
        )
    # The views go with the tables they read.
    await connection.execute("DROP SCHEMA suite CASCADE")
    return None


async def _fill(connection: _Connection, settings: _Settings, workers: int, progress: Callable[[int], None]) -> _Tally:
    await connection.execute((_SQL / "sample-tables.sql").read_text(encoding="utf-8"))
    tally = _Tally()
    batches = encoded_batches(
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
    # After the rows, since this makes the indexes: quicker once than row by row.
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
    # ALTER ROLE takes no parameters, so the server itself does the quoting.
    statement = await connection.fetchval("SELECT format('ALTER ROLE sluice_reader PASSWORD %L', $1::text)", password)
    await connection.execute(statement)
