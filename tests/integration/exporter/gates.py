"""Gates in a contact history's rows and in the steps of an exporter's database, which a test closes and opens.

So a test can stop an exporter at an exact point of its work and do something to it there.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from shared.events.values import FileKind
from tests.integration.stream.history import ContactHistory
from tests.support.servers import Databases
from tests.support.wait import eventually

ROWS, ATTACHMENTS = 6000, 400
PASSWORD = "reader-password"
_GATE = 4242
_WAITS = """
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND NOT granted AND objid = $1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_FUNCTION = f"""
CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared({_GATE});
    RETURN NEW;
END $$;
"""
_SCHEMA = f"""
CREATE SCHEMA contact_history;
CREATE TABLE gate (kind text, id text);
CREATE FUNCTION pass_gate(kind text, id text, value text) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT FROM gate WHERE gate.kind = $1 AND gate.id = $2) THEN
        PERFORM pg_advisory_xact_lock_shared({_GATE});
    END IF;
    RETURN value;
END $$;
CREATE TABLE interaction_table (
    id text COLLATE "C" PRIMARY KEY, status int, entity_type_id int, media_type_id text, type_id text, subtype_id text,
    external_id text, owner_id int, contact_id text, parent_id text, start_date timestamptz, modified_date timestamptz,
    end_date timestamptz, thread_id text, category_id text, time_shift int, subject text, text text,
    structured_text text, struct_text_mimetype text, the_comment text, tenant_id int, subtenant_id int,
    thread_hash text, can_be_parent bool, creator_app_id int, queue_name text, all_attributes jsonb, is_spam bool,
    web_safe_email_status text
);
CREATE TABLE attachment_table (
    id text COLLATE "C" PRIMARY KEY, entity_id text, tenant_id int, name text, mime_type text, size bigint,
    content bytea
);
CREATE TABLE contact_table (
    id text COLLATE "C" PRIMARY KEY, tenant_id int, created_date timestamptz, modified_date timestamptz,
    first_name text, last_name text, customer_id text, email_addresses jsonb, phone_numbers jsonb, attributes jsonb
);
CREATE VIEW contact_history.contact AS SELECT * FROM contact_table;
"""
_ROWS = """
INSERT INTO interaction_table (id, tenant_id, media_type_id, start_date, modified_date, subject, text, all_attributes)
SELECT 'i' || lpad(n::text, 6, '0'), 101, 'email', now() - n * interval '1 minute', now() - n * interval '1 minute',
       'subject ' || n, repeat(md5(n::text), 30), jsonb_build_object('n', n)
FROM generate_series(1, $1::int) n
"""
_FILES = """
INSERT INTO attachment_table (id, entity_id, tenant_id, name, mime_type, size, content)
SELECT 'a' || lpad(n::text, 6, '0'), 'i' || lpad(n::text, 6, '0'), 101, n || '.bin', 'application/octet-stream', 4096,
       decode(repeat(md5(n::text), 128), 'hex')
FROM generate_series(1, $1::int) n
"""


@dataclass
class GatedHistory:
    """A source with ROWS interactions of about 1.3 KB and ATTACHMENTS attachments, in the order of their ids."""

    admin: str
    reader: str

    @classmethod
    async def create(cls, databases: Databases, *, rows: int = ROWS, attachments: int = ATTACHMENTS) -> "GatedHistory":
        """Create the database and fill it."""
        admin = await databases.create()
        return await cls.fill(
            admin,
            databases.dsn(admin.rpartition("/")[2], role="gated_reader", password=PASSWORD),
            rows=rows,
            attachments=attachments,
        )

    @classmethod
    async def fill(cls, admin: str, reader: str, *, rows: int, attachments: int) -> "GatedHistory":
        """Create tables, views and the reader's role in an empty database, and fill the tables."""
        connection = await asyncpg.connect(admin)
        try:
            await connection.execute(_SCHEMA)
            for name in ("interaction", "attachment"):
                # The gated column is computed when its row is read in the order of ids, and not when rows are
                # counted.
                gated = "subject" if name == "interaction" else "name"
                columns = await connection.fetch(
                    "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 "
                    "ORDER BY attnum",
                    f"{name}_table",
                )
                selected = ", ".join(
                    f"pass_gate('{name}', id, {gated}) AS {gated}" if row["attname"] == gated else row["attname"]
                    for row in columns
                )
                await connection.execute(f"CREATE VIEW contact_history.{name} AS SELECT {selected} FROM {name}_table")
            await connection.execute(_ROWS, rows)
            await connection.execute(_FILES, attachments)
            await connection.execute(
                f"""
                DO $$ BEGIN
                    CREATE ROLE gated_reader LOGIN PASSWORD '{PASSWORD}';
                EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
                GRANT pg_read_all_stats TO gated_reader;
                GRANT USAGE ON SCHEMA contact_history TO gated_reader;
                GRANT SELECT ON ALL TABLES IN SCHEMA contact_history, public TO gated_reader;
                ANALYZE;
                """
            )
            name = admin.rpartition("/")[2]
            # Rows are read in the order of an index and never sorted first, so that gates are reached in that order.
            await connection.execute(f'ALTER DATABASE "{name}" SET enable_sort = off')
        finally:
            await connection.close()
        return cls(admin, reader)

    async def add_interaction(self, number: int) -> str:
        """Add an interaction of another tenant, with this number; return its id."""
        identifier = f"o{number:06d}"
        connection = await asyncpg.connect(self.admin)
        try:
            await connection.execute(
                "INSERT INTO interaction_table (id, tenant_id, start_date, subject) VALUES ($1, $2, now(), 'other')",
                identifier,
                number,
            )
        finally:
            await connection.close()
        return identifier

    async def records(self, kind: FileKind) -> list[dict[str, object]]:
        """Return the records that an export must contain, by a reader that shares no code with it."""
        connection = await asyncpg.connect(self.admin)
        try:
            return await ContactHistory(connection).records(kind, "tenant_id = 101")
        finally:
            await connection.close()

    @asynccontextmanager
    async def close_gate_at(self, kind: str, row: int, *more: str) -> AsyncIterator["Gate"]:
        """Stop all readers at row number `row` of a kind, and at the rows with `more` ids, until the gate is opened."""
        connection = await asyncpg.connect(self.admin)
        try:
            await connection.execute("DELETE FROM gate")
            rows = [(kind, identifier) for identifier in (f"{kind[0]}{row:06d}", *more)]
            await connection.executemany("INSERT INTO gate VALUES ($1, $2)", rows)
            async with _close_gate(connection) as gate:
                yield gate
        finally:
            await connection.close()

    @asynccontextmanager
    async def lock_interactions(self) -> AsyncIterator["Gate"]:
        """Stop all readers before they can even plan a query of interactions."""
        connection = await asyncpg.connect(self.admin)
        try:
            await connection.execute("BEGIN")
            await connection.execute("LOCK TABLE interaction_table IN ACCESS EXCLUSIVE MODE")
            yield Gate(
                connection,
                waits="SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'interaction_table'::regclass",
                opens="ROLLBACK",
            )
        finally:
            await connection.close()


@dataclass
class Gate:
    """A closed gate."""

    connection: "asyncpg.Connection[asyncpg.Record]"
    waits: str
    opens: str

    async def wait_until_reached(self) -> None:
        """Wait until a process waits at the gate."""
        await eventually(lambda: self.connection.fetchval(self.waits))

    async def is_closed(self) -> bool:
        """Return whether the gate is still closed."""
        held = "SELECT count(*) FROM pg_locks WHERE granted AND pid = pg_backend_pid() AND locktype IN ('advisory')"
        return bool(await self.connection.fetchval(held))

    async def open(self) -> None:
        """Let all processes pass."""
        await self.connection.execute(self.opens)


@asynccontextmanager
async def close_gate_on_step(admin: str, table: str, event: str, condition: str) -> AsyncIterator[Gate]:
    """Stop every process at a step in the exporter's tables, within the step's transaction."""
    connection = await asyncpg.connect(admin)
    try:
        await connection.execute("SET search_path TO exporter")
        await connection.execute(_FUNCTION)
        await connection.execute(
            f"CREATE TRIGGER gate BEFORE {event} ON {table} FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION gate()"
        )
        try:
            async with _close_gate(connection) as gate:
                yield gate
        finally:
            await connection.execute("DROP FUNCTION gate() CASCADE")
    finally:
        await connection.close()


@asynccontextmanager
async def _close_gate(connection: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[Gate]:
    await connection.execute(f"SELECT pg_advisory_lock({_GATE})")
    try:
        yield Gate(connection, waits=_WAITS.replace("$1", str(_GATE)), opens="SELECT pg_advisory_unlock_all()")
    finally:
        # If the server was stopped meanwhile, the gate is gone.
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock_all()")
