"""since_last_run (T2, T4): rows of transactions that begin early and commit late are never lost between windows."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from uuid import UUID, uuid4

import asyncpg
import pytest

from deploy.local.postgres import Postgres
from deploy.local.reaper import Reaper
from shared import events
from tests.integration.exporter.conftest import ExportSystem
from tests.integration.exporter.gates import PASSWORD, GatedHistory
from tests.integration.exporter.proof import RunEvents, follow_run
from tests.support.system import Service

ROWS, AT_ONCE = 3000, 100
STORM_WRITERS, STORM_TURNS = 8, 4
SINCE = events.Timeframe(kind="since_last_run")
Version = tuple[str, str]


@pytest.fixture(scope="module")
async def source(reaper: Reaper, servers_folder: Path) -> AsyncIterator[Postgres]:
    """A PostgreSQL that accepts prepared transactions."""
    server = Postgres(servers_folder / "source-since", reaper, durable=False)
    server.start()
    server.execute("ALTER SYSTEM SET max_prepared_transactions = 10")
    server.stop()
    server.start()
    server.create_database("history")
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def history(source: Postgres, exports: ExportSystem) -> GatedHistory:
    await exports.insert_certificate()
    reader = source.dsn("gated_reader", PASSWORD, "history")
    return await GatedHistory.fill(source.admin_dsn_of("history"), reader, rows=ROWS, attachments=1)


@dataclass
class Writer:
    """A transaction that has written and is not yet committed."""

    connection: "asyncpg.Connection[asyncpg.Record]"
    began: datetime
    prepared: str | None = None

    @classmethod
    async def begin(cls, dsn: str, first: int, version: str, *, prepare: bool = False) -> "Writer":
        """Change AT_ONCE rows from number `first`, with the transaction's own instant as applications do."""
        connection = await asyncpg.connect(dsn)
        await connection.execute("BEGIN")
        await connection.execute(
            "UPDATE interaction_table SET text = $1, modified_date = now() WHERE id >= $2 AND id < $3",
            version,
            f"i{first:06d}",
            f"i{first + AT_ONCE:06d}",
        )
        writer = cls(connection, await connection.fetchval("SELECT now()"))
        if prepare:
            writer.prepared = version
            await connection.execute(f"PREPARE TRANSACTION '{version}'")
        return writer

    async def commit(self) -> None:
        await self.connection.execute("COMMIT" if self.prepared is None else f"COMMIT PREPARED '{self.prepared}'")
        await self.connection.close()


@dataclass
class ChangeTracker:
    """One job's runs, slot after slot, and every version of a row in their files."""

    exports: ExportSystem
    history: GatedHistory
    job: UUID = field(default_factory=uuid4)
    exported: set[Version] = field(default_factory=set)
    watermark: datetime | None = None

    async def run(self, *, attempts: int = 3) -> RunEvents:
        """Carry out the next slot's run, and return its events."""
        trigger = self.exports.make_trigger(job=self.job, timeframe=SINCE, attempts=attempts)
        # The slots of a test are less than a second apart, so ids derived from them would collide.
        trigger = replace(trigger, run_id=uuid4())
        async with follow_run(self.exports, trigger.run_id) as story:
            await self.exports.admit(trigger)
            return await story()

    async def succeed(self) -> datetime:
        """Have the next run succeed; check that its window follows the last one and that nothing is missing."""
        story = await self.run()
        end = story.succeeded
        (started,) = story.of_type(events.RunStarted)
        assert isinstance(started, events.RunStarted)
        assert end.data_complete_through is not None
        assert started.window == events.Window(start=self.watermark, end=end.data_complete_through)
        manifest = self.exports.read_manifest(story.run_id)
        assert datetime.fromisoformat(str(manifest["data_complete_through"])) == end.data_complete_through
        for file in end.files:
            if file.kind == "interaction":
                records = self.exports.read_records(self.exports.store / file.object)
                self.exported |= {(str(record["id"]), str(record["text"])) for record in records}
        self.watermark = end.data_complete_through
        missing = await self.read_committed(before=self.watermark) - self.exported
        assert not missing, f"{len(missing)} versions that were current are in no file, such as {min(missing)}"
        return self.watermark

    async def read_committed(self, *, before: datetime) -> set[Version]:
        """Return the current versions that are older than an instant."""
        connection = await asyncpg.connect(self.history.admin)
        try:
            query = "SELECT id, text FROM interaction_table WHERE modified_date < $1"
            return {(row["id"], row["text"]) for row in await connection.fetch(query, before)}
        finally:
            await connection.close()


@pytest.fixture
async def exporter(exports: ExportSystem, history: GatedHistory) -> AsyncIterator[Service]:
    service = exports.start_exporter("exporter", SOURCE=history.reader)
    yield service
    service.process.stop()


async def test_T4_late_commits_are_never_lost(exports: ExportSystem, history: GatedHistory, exporter: Service) -> None:
    tracker = ChangeTracker(exports, history)
    await tracker.succeed()
    assert len(tracker.exported) == ROWS, "the first run exports all"

    late = await Writer.begin(history.admin, 1, "late")
    await (await Writer.begin(history.admin, 201, "quick-1")).commit()
    through = await tracker.succeed()
    assert through <= late.began, "held back to the oldest open transaction"

    prepared = await Writer.begin(history.admin, 401, "prepared", prepare=True)
    await late.commit()
    await (await Writer.begin(history.admin, 601, "quick-2")).commit()
    assert await tracker.succeed() == through, "a prepared transaction may have begun at any time since"

    # A row is changed again before its first change is exported, and one transaction never commits.
    abandoned = await Writer.begin(history.admin, 801, "never")
    await (await Writer.begin(history.admin, 601, "quick-3")).commit()
    await prepared.commit()
    through = await tracker.succeed()
    assert late.began < through <= abandoned.began
    assert ("i000001", "late") in tracker.exported
    await abandoned.connection.execute("ROLLBACK")
    await abandoned.connection.close()

    await tracker.succeed()
    everything = await tracker.read_committed(before=datetime.max.replace(tzinfo=through.tzinfo))
    assert everything <= tracker.exported
    texts = {text for _, text in tracker.exported}
    assert {"late", "quick-1", "prepared", "quick-3"} <= texts
    assert "never" not in texts


async def test_T4_a_storm_of_writers_loses_nothing(
    exports: ExportSystem, history: GatedHistory, exporter: Service
) -> None:
    """Transactions on shared rows that begin and commit at any moment, and stay open over any number of slots."""
    tracker, random = ChangeTracker(exports, history), Random(4)
    await tracker.succeed()
    slots = 0
    next_slot = asyncio.Condition()

    async def write(number: int) -> None:
        for turn in range(STORM_TURNS):
            writer = await Writer.begin(history.admin, 1 + AT_ONCE * number, f"storm-{number}-{turn}")
            until = slots + random.randrange(3)
            async with next_slot:
                await next_slot.wait_for(lambda until=until: slots >= until)  # type: ignore[misc]  # mypy cannot infer it
            await writer.commit()

    writing = [asyncio.create_task(write(number)) for number in range(STORM_WRITERS)]
    while not all(task.done() for task in writing):
        await tracker.succeed()
        async with next_slot:
            slots += 1
            next_slot.notify_all()
    await asyncio.gather(*writing)
    through = await tracker.succeed()
    everything = await tracker.read_committed(before=datetime.max.replace(tzinfo=through.tzinfo))
    assert everything <= tracker.exported
    last = {f"storm-{number}-{STORM_TURNS - 1}" for number in range(STORM_WRITERS)}
    assert last <= {text for _, text in tracker.exported}
    assert slots >= STORM_TURNS // 2


async def test_T2_the_window_of_a_failed_run_is_covered_by_the_next(
    exports: ExportSystem, history: GatedHistory, exporter: Service
) -> None:
    tracker = ChangeTracker(exports, history)
    before = await tracker.succeed()
    await (await Writer.begin(history.admin, 1001, "before-failure")).commit()
    store, aside = exports.store / "runs", exports.store / "aside"
    store.rename(aside)
    store.write_text("not a folder")
    try:
        failed = (await tracker.run(attempts=1)).received[-1]
    finally:
        store.unlink()
        aside.rename(store)
    assert isinstance(failed, events.RunFailed)
    await (await Writer.begin(history.admin, 1201, "after-failure")).commit()
    assert await tracker.succeed() > before
    assert {"before-failure", "after-failure"} <= {text for _, text in tracker.exported}


async def test_T4_a_reader_that_cannot_see_other_sessions_holds_back(
    exports: ExportSystem, history: GatedHistory, source: Postgres
) -> None:
    source.execute(
        f"""
        CREATE ROLE blind_reader LOGIN PASSWORD '{PASSWORD}';
        GRANT USAGE ON SCHEMA contact_history TO blind_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA contact_history, public TO blind_reader;
        """,
        database="history",
    )
    dsn = source.dsn("blind_reader", PASSWORD, "history")
    exporter = exports.start_exporter("blind", SOURCE=dsn, HOLD_BACK="PT1H")
    tracker = ChangeTracker(exports, history)
    async with asyncpg.create_pool(history.admin, min_size=1, max_size=1) as pool:
        began: datetime = await pool.fetchval("SELECT clock_timestamp()")
        story = await tracker.run()
        ended: datetime = await pool.fetchval("SELECT clock_timestamp()")
    through = story.succeeded.data_complete_through
    assert through is not None
    assert began - timedelta(hours=1) <= through <= ended - timedelta(hours=1)
    note = story.succeeded.data_complete_note
    assert note is not None
    assert "60 min behind the clock" in note
    assert "GRANT pg_read_all_stats" in note
    assert exports.read_manifest(story.run_id)["data_complete_note"] == note
    exporter.process.stop()
