"""The contact history of the storm: rows that never change, and rows that transactions change late and all the time."""

import asyncio
import json
import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

import asyncpg

from tests.integration.stream.history import ContactHistory, to_key

TENANT = 101
READER, PASSWORD = "storm_reader", "reader-password"
FIXED = ("2021-01-01T00:00:00Z", "2021-02-01T00:00:00Z")
"""The window in which fixed exports read; its rows never change."""
_COUNT = {"fixed": 3_000, "recent": 2_000, "moving": 400, "contact": 1_000, "attachment": 300}
_LONGEST_TRANSACTION = 2.0

_FILL = """
INSERT INTO interaction_table (id, tenant_id, media_type_id, start_date, modified_date, subject, text, all_attributes)
SELECT kind || lpad(n::text, 6, '0'), {tenant}, 'email', start_date, start_date, 'subject ' || n,
       repeat(md5(n::text), 20), jsonb_build_object('n', n)
FROM (
    SELECT 'fixed' AS kind, n, '2021-01-01Z'::timestamptz + n * interval '10 minutes' AS start_date
    FROM generate_series(1, {fixed}) n
    UNION ALL
    SELECT 'recent', n, now() - n * interval '1 minute' FROM generate_series(1, {recent}) n
    UNION ALL
    SELECT 'moving', n, '2019-01-01Z' FROM generate_series(1, {moving}) n
    UNION ALL
    SELECT 'foreign', n, '2021-01-02Z' FROM generate_series(1, 50) n
) rows;
UPDATE interaction_table SET tenant_id = 999 WHERE id LIKE 'foreign%';
INSERT INTO contact_table (id, tenant_id, created_date, modified_date, first_name, email_addresses)
SELECT 'c' || lpad(n::text, 6, '0'), {tenant}, '2021-01-01Z', '2021-01-01Z', 'name ' || n,
       jsonb_build_array(n || '@example.org')
FROM generate_series(1, {contact}) n;
INSERT INTO attachment_table (id, entity_id, tenant_id, name, mime_type, size, content)
SELECT 'a' || lpad(n::text, 6, '0'), 'fixed' || lpad(n::text, 6, '0'), {tenant}, n || '.bin',
       'application/octet-stream', 4096, decode(repeat(md5(n::text), 128), 'hex')
FROM generate_series(1, {attachment}) n;
"""
_ROLE = f"""
CREATE INDEX ON interaction_table (id);
CREATE INDEX ON interaction_table (start_date);
CREATE INDEX ON interaction_table (modified_date);
CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}';
GRANT pg_read_all_stats TO {READER};
GRANT USAGE ON SCHEMA contact_history TO {READER};
GRANT SELECT ON ALL TABLES IN SCHEMA contact_history TO {READER};
ANALYZE;
"""
_CHANGE = "UPDATE interaction_table SET modified_date = now(), subject = $2 WHERE id = ANY ($1)"
_ADD = """
INSERT INTO interaction_table (id, tenant_id, media_type_id, start_date, modified_date, subject)
SELECT 'added' || lpad(n::text, 6, '0'), $3, 'chat', '2019-01-01Z', now(), 'added ' || n
FROM generate_series($1::int, $1 + $2 - 1) n
"""


@dataclass
class StormSource:
    """The database of the source, as its owner sees it."""

    admin_dsn: str
    _added: int = 0

    async def create(self) -> None:
        """Create the views over plain tables, and fill them."""
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            await ContactHistory(connection).create()
            await connection.execute(_FILL.format(tenant=TENANT, **_COUNT))
            await connection.execute(_ROLE)
        finally:
            await connection.close()

    async def keep_changing(self, seed: int, stopping: asyncio.Event) -> None:
        """Change and add rows until `stopping` is set, in transactions of which some commit long after they began."""
        random, number = Random(seed), 0
        while not stopping.is_set():
            number += 1
            try:
                await self._commit_changes(random, number, stopping)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                # A fault has struck the source; the transaction is lost as a whole, and so expected nowhere.
                await _wait(stopping, 0.5)

    async def _commit_changes(self, random: Random, number: int, stopping: asyncio.Event) -> None:
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            async with connection.transaction():
                ids = [f"moving{random.randint(1, _COUNT['moving']):06d}" for _ in range(5)]
                await connection.execute(_CHANGE, sorted(set(ids)), f"change {number}")
                await connection.execute(_ADD, self._added + 1, 2, TENANT)
                self._added += 2
                await _wait(stopping, random.random() ** 3 * _LONGEST_TRANSACTION)
        finally:
            await connection.close()
        await _wait(stopping, 0.1)

    async def read_versions(self) -> dict[str, datetime]:
        """Return the current version of every interaction of the tenant: its id, and when it was modified."""
        connection = await asyncpg.connect(self.admin_dsn)
        try:
            query = "SELECT id, modified_date FROM interaction_table WHERE tenant_id = $1"
            return {row["id"]: row["modified_date"] for row in await connection.fetch(query, TENANT)}
        finally:
            await connection.close()

    async def read_records(self, kind: str, start: datetime | None, end: datetime | None) -> list[dict[str, Any]]:
        """Return the records that a run of a kind of files must contain, in order; the window is half-open."""
        connection = await asyncpg.connect(self.admin_dsn, server_settings={"timezone": "UTC"})
        try:
            return [_to_record(*row) for row in await connection.fetch(_RECORDS[kind], TENANT, start, end)]
        finally:
            await connection.close()


def _to_record(text: str, content: bytes | None) -> dict[str, Any]:
    """Return a row as the record that is exported; `text` is the server's JSON of it without its bytes."""
    row = {re.sub(r"_([a-z])", lambda found: found[1].upper(), name): value for name, value in json.loads(text).items()}
    if content is None:
        return row
    del row["tenantId"]
    return row | {"content": b64encode(content).decode()}


_BETWEEN = "({0} >= $2 OR $2::timestamptz IS NULL) AND ({0} < $3 OR $3::timestamptz IS NULL)"
_RECORDS = {
    "interaction": "SELECT to_jsonb(t)::text, NULL::bytea FROM interaction_table t WHERE tenant_id = $1 AND "
    + _BETWEEN.format("start_date")
    + ' ORDER BY id COLLATE "C"',
    "contact": "SELECT to_jsonb(t)::text, NULL::bytea FROM contact_table t WHERE tenant_id = $1 AND "
    + _BETWEEN.format("created_date")
    + ' ORDER BY id COLLATE "C"',
    "interaction-attachment": "SELECT (to_jsonb(t) - 'content')::text, content FROM attachment_table t "
    "WHERE tenant_id = $1 AND entity_id IN "
    "(SELECT id FROM interaction_table WHERE tenant_id = $1 AND "
    + _BETWEEN.format("start_date")
    + ') ORDER BY id COLLATE "C"',
}
MODIFIED = to_key("modified_date")


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
