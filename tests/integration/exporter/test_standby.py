"""since_last_run where the source does not see all writers: standbys, subscribers, foreign tables (rule T4)."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from deploy.local.postgres import Postgres
from deploy.local.reaper import Reaper
from exporter.errors import SourceAccessRefused, SourceConflict, SourceUnavailable, WatermarkUnsupported
from exporter.source.selection import Selection
from exporter.source.snapshot import open_snapshot
from exporter.source.watermark import Watermark, WatermarkPolicy, find_watermark
from tests.integration.exporter.conftest import ExportSystem
from tests.integration.exporter.gates import PASSWORD, GatedHistory
from tests.integration.exporter.test_since_last_run import ChangeTracker, Writer
from tests.support.servers import Databases
from tests.support.standby import PRIMARY_SETTINGS, create_standby
from tests.support.wait import eventually

ROWS = 3000
HOUR = timedelta(hours=1)
CHECK = Path(__file__).parents[3] / "deploy/contact-history/check.sql"
CHECKED_VIEWS = """
DROP VIEW contact_history.interaction;
CREATE VIEW contact_history.interaction AS
    SELECT *, 1 AS tenant_id, modified_date AS start_date, modified_date AS end_date FROM interaction_table;
CREATE MATERIALIZED VIEW copied AS SELECT 'x' AS id, 1 AS tenant_id, now() AS created_date, now() AS modified_date;
CREATE VIEW contact_history.contact AS SELECT * FROM copied;
CREATE VIEW contact_history.attachment AS SELECT id, 1 AS tenant_id, id AS entity_id FROM interaction_table;
"""
LOGICAL = """
DROP SCHEMA IF EXISTS contact_history CASCADE;
DROP MATERIALIZED VIEW IF EXISTS copied;
DROP TABLE IF EXISTS interaction_table;
CREATE TABLE interaction_table (id text PRIMARY KEY, modified_date timestamptz);
CREATE SCHEMA contact_history;
CREATE VIEW contact_history.interaction AS SELECT * FROM interaction_table;
"""


@pytest.fixture(scope="module")
def primary(reaper: Reaper, servers_folder: Path) -> Iterator[Postgres]:
    server = Postgres(servers_folder / "primary", reaper, durable=False, settings=PRIMARY_SETTINGS)
    server.start()
    for name in ("history", "publisher", "subscriber"):
        server.create_database(name)
    yield server
    server.stop()


@pytest.fixture(scope="module")
async def history(primary: Postgres, exports: ExportSystem) -> GatedHistory:
    await exports.insert_certificate()
    reader = primary.dsn("gated_reader", PASSWORD, "history")
    return await GatedHistory.fill(primary.admin_dsn_of("history"), reader, rows=ROWS, attachments=1)


@pytest.fixture(scope="module")
def standby(primary: Postgres, history: GatedHistory, reaper: Reaper) -> Iterator[Postgres]:
    server = create_standby(primary, primary.folder.with_name("standby"), reaper)
    yield server
    server.stop()


@pytest.fixture
def reader(standby: Postgres) -> str:
    """The source's address: the standby."""
    return standby.dsn("gated_reader", PASSWORD, "history")


def make_policy(primary: str | None = None, hold_back: timedelta = HOUR) -> WatermarkPolicy:
    return WatermarkPolicy(primary=primary, hold_back=hold_back, stall=timedelta(seconds=30))


async def test_T4_late_commits_on_the_primary_are_never_lost_by_runs_on_a_standby(
    exports: ExportSystem, history: GatedHistory, standby: Postgres, reader: str
) -> None:
    exporter = exports.start_exporter("exporter", SOURCE=reader, SOURCE_PRIMARY=history.reader)
    tracker = ChangeTracker(exports, history)
    await tracker.succeed()
    assert len(tracker.exported) == ROWS, "the first run exports all"

    late = await Writer.begin(history.admin, 1, "late")
    await (await Writer.begin(history.admin, 201, "quick")).commit()
    through = await tracker.succeed()
    assert through <= late.began, "held back to the oldest transaction that is open on the primary"

    # What is committed before the watermark must have arrived on the standby before it is read.
    standby.execute("SELECT pg_wal_replay_pause()")
    await late.commit()
    await (await Writer.begin(history.admin, 401, "delayed")).commit()
    running = asyncio.create_task(tracker.succeed())
    waiting = "SELECT true FROM run WHERE state = 'running' AND window_position IS NOT NULL"
    await eventually(lambda: exports.system.fetch("exporter", waiting))
    assert not running.done()
    standby.execute("SELECT pg_wal_replay_resume()")
    await running
    assert {"late", "delayed"} <= {text for _, text in tracker.exported}
    assert exporter.process.stop() == 0


async def test_T4_a_run_on_a_standby_alone_holds_back_behind_its_replay_and_says_so(
    exports: ExportSystem, history: GatedHistory, standby: Postgres, reader: str
) -> None:
    exporter = exports.start_exporter("exporter", SOURCE=reader, HOLD_BACK="PT1H")
    tracker = ChangeTracker(exports, history)
    await (await Writer.begin(history.admin, 601, "recent")).commit()
    # A standby that has replayed no transaction yet knows no instant.
    await eventually(lambda: standby.execute("SELECT pg_last_xact_replay_timestamp()"))
    standby.execute("SELECT pg_wal_replay_pause()")
    replayed = datetime.fromisoformat(standby.execute("SELECT pg_last_xact_replay_timestamp()"))
    await (await Writer.begin(history.admin, 601, "not replayed")).commit()
    story = await tracker.run()
    standby.execute("SELECT pg_wal_replay_resume()")
    end = story.succeeded
    assert end.data_complete_through == replayed - HOUR
    assert end.data_complete_note is not None
    for words in ("is a standby", "60 min behind what was replayed", "SLUICE_EXPORTER_SOURCE_PRIMARY"):
        assert words in end.data_complete_note
    assert exports.read_manifest(story.run_id)["data_complete_note"] == end.data_complete_note
    assert exporter.process.stop() == 0


async def test_T4_the_primary_s_address_must_lead_to_the_primary(
    history: GatedHistory, reader: str, postgres: Databases
) -> None:
    with pytest.raises(SourceUnavailable, match="leads to a replica"):
        await find_watermark(reader, make_policy(reader), since=None)
    with pytest.raises(SourceAccessRefused, match="not the primary of the source"):
        await find_watermark(reader, make_policy(postgres.admin_dsn), since=None)
    assert (await find_watermark(reader, make_policy(history.reader), since=None)).note is None


async def test_T4_a_window_never_ends_before_it_starts(reader: str) -> None:
    since = datetime.fromisoformat("2999-01-01T00:00:00+00:00")
    assert (await find_watermark(reader, make_policy(), since=since)).at == since


async def test_R5_a_query_that_the_standby_cancels_for_its_replay_says_what_helps(
    history: GatedHistory, reader: str
) -> None:
    selection = Selection("interaction", 101)
    writer = await asyncpg.connect(history.admin)

    async def read_until_cancelled() -> None:
        async with open_snapshot(reader) as snapshot:
            assert await snapshot.count(selection) == ROWS
            await writer.execute("UPDATE interaction_table SET subject = 'moved'")
            await writer.execute("VACUUM interaction_table")
            while True:
                await snapshot.count(selection)

    with pytest.raises(SourceConflict, match=r"The standby cancelled the query.*hot_standby_feedback") as failed:
        await asyncio.wait_for(read_until_cancelled(), 60)
    assert failed.value.transient
    assert failed.value.patient
    await writer.close()


@pytest.mark.parametrize("kind", ["foreign table", "materialized view", "partition"])
async def test_T4_views_that_show_changes_at_another_time_are_refused(kind: str, database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.execute("CREATE SCHEMA contact_history; CREATE TABLE local (id text, modified_date timestamptz)")
    await connection.execute(
        "CREATE EXTENSION postgres_fdw; CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw;"
        "CREATE FOREIGN TABLE remote (id text, modified_date timestamptz) SERVER elsewhere"
    )
    await connection.execute("CREATE MATERIALIZED VIEW copied AS SELECT * FROM local")
    await connection.execute("CREATE TABLE divided (id text, modified_date timestamptz) PARTITION BY LIST (id)")
    await connection.execute("CREATE FOREIGN TABLE part_of PARTITION OF divided DEFAULT SERVER elsewhere")
    below = {"foreign table": "remote", "materialized view": "copied", "partition": "divided"}[kind]
    named = {"foreign table": "remote", "materialized view": "copied", "partition": "part_of"}[kind]
    await connection.execute(f"CREATE VIEW inner_view AS SELECT * FROM local UNION ALL SELECT * FROM {below}")
    await connection.execute("CREATE VIEW contact_history.interaction AS SELECT * FROM inner_view")
    await connection.close()
    with pytest.raises(WatermarkUnsupported, match=named) as refused:
        await find_watermark(database, make_policy(), since=None)
    assert not refused.value.transient


async def test_T4_the_check_of_the_views_reports_what_since_last_run_needs(
    reader: str, subscription: tuple[str, str], primary: Postgres
) -> None:
    assert "this is a standby: set SLUICE_EXPORTER_SOURCE_PRIMARY" in await check_views(reader)
    primary.execute(CHECKED_VIEWS, database="subscriber")
    found = await check_views(subscription[1])
    assert "the subscription changes writes them: set SLUICE_EXPORTER_SOURCE_PRIMARY" in found
    assert 'which "since last run" refuses: copied' in found


async def check_views(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    lines = await connection.fetch(CHECK.read_text(encoding="utf-8"))
    await connection.close()
    return "\n".join(line["result"] for line in lines)


@pytest.fixture
async def subscription(primary: Postgres) -> AsyncIterator[tuple[str, str]]:
    """A publisher and its subscriber: two databases."""
    publisher, subscriber = primary.admin_dsn_of("publisher"), primary.admin_dsn_of("subscriber")
    for name in ("publisher", "subscriber"):
        primary.execute(LOGICAL, database=name)
    primary.execute("CREATE PUBLICATION changes FOR ALL TABLES", database="publisher")
    # In one cluster, a subscription that creates its slot itself would wait for its own transaction.
    primary.execute("SELECT pg_create_logical_replication_slot('changes', 'pgoutput')", database="publisher")
    primary.execute(
        f"CREATE SUBSCRIPTION changes CONNECTION '{publisher}' PUBLICATION changes "
        "WITH (create_slot = false, slot_name = 'changes', copy_data = false)",
        database="subscriber",
    )
    yield publisher, subscriber
    primary.execute("ALTER SUBSCRIPTION changes DISABLE", database="subscriber")
    primary.execute("DROP SUBSCRIPTION changes", database="subscriber")
    primary.execute("DROP PUBLICATION changes", database="publisher")


async def test_T4_a_subscriber_takes_the_watermark_of_its_publisher(subscription: tuple[str, str]) -> None:
    publisher, subscriber = subscription
    late = await asyncpg.connect(publisher)
    began = await late.fetchval("SELECT clock_timestamp()")
    await late.execute("BEGIN; INSERT INTO interaction_table VALUES ('late', now())")
    quick = await asyncpg.connect(publisher)
    await quick.execute("INSERT INTO interaction_table VALUES ('quick', now())")

    found = await find_watermark(subscriber, make_policy(publisher), since=None)
    assert began <= found.at, "the transaction began after this"
    assert (found.note, found.position) == (None, None)
    await assert_complete(subscriber, quick, found)
    await late.execute("COMMIT")
    await assert_complete(subscriber, quick, await find_watermark(subscriber, make_policy(publisher), since=None))
    held_back = await find_watermark(subscriber, make_policy(), since=None)
    assert "is a subscriber" in (held_back.note or "")
    assert began - HOUR - timedelta(minutes=5) < held_back.at <= await quick.fetchval("SELECT now()") - HOUR
    await late.close()
    await quick.close()


async def assert_complete(subscriber: str, publisher: asyncpg.Connection, found: Watermark) -> None:
    """Check that the subscriber has all that the publisher has committed before the watermark."""
    query = "SELECT array_agg(id ORDER BY id) FROM interaction_table WHERE modified_date < $1"
    reading = await asyncpg.connect(subscriber)
    assert await reading.fetchval(query, found.at) == await publisher.fetchval(query, found.at)
    await reading.close()
