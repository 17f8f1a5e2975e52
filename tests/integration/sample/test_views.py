"""The documented views over the sample's tables: correct values, read-only rights, orders that indexes provide."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import pytest

from deploy.sample.model import Attachment, Contact, Interaction
from deploy.sample.rows import Batch

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

SQL = Path(__file__).parents[3] / "deploy" / "contact-history"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def test_E5_the_interaction_view_returns_every_row(reader: Connection, expected: Batch) -> None:
    assert await _read_records(reader, "interaction") == sorted(map(_interaction, expected.interactions), key=_id)


async def test_E5_the_contact_view_returns_every_row(reader: Connection, expected: Batch) -> None:
    assert await _read_records(reader, "contact") == sorted(map(_contact, expected.contacts), key=_id)


async def test_E5_the_attachment_view_returns_every_row(reader: Connection, expected: Batch) -> None:
    assert await _read_records(reader, "attachment") == sorted(map(_attachment, expected.attachments), key=_id)


async def test_E1_no_record_contains_a_line_break_outside_its_strings(reader: Connection) -> None:
    # The suite stores JSON verbatim, on several lines; the view's cast to jsonb removes the line breaks.
    written = await reader.fetchval("SELECT count(*) FROM contact_history.contact c WHERE row_to_json(c)::text ~ '\\n'")
    assert written == 0


@pytest.mark.parametrize("view", ["interaction", "contact", "attachment"])
async def test_E5_the_reader_may_not_write(reader: Connection, view: str) -> None:
    await reader.execute("SET default_transaction_read_only = off")
    for statement in (
        f"DELETE FROM contact_history.{view}",
        f"UPDATE contact_history.{view} SET tenant_id = 1",
        f"INSERT INTO contact_history.{view} (id) VALUES ('x')",
        "CREATE TABLE contact_history.mine ()",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.execute(statement)


@pytest.mark.parametrize("table", ["conversation", "customer", "file", "sample_set"])
async def test_E5_the_reader_cannot_read_the_tables(reader: Connection, table: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await reader.fetch(f"SELECT FROM suite.{table}")


async def test_E5_every_line_of_the_check_is_ok(reader: Connection) -> None:
    lines = await reader.fetch((SQL / "check.sql").read_text(encoding="utf-8"))
    assert len(lines) == 13
    assert {line["check"]: line["result"] for line in lines if line["result"] != "ok"} == {}


async def test_E5_the_comment_of_every_column_names_its_type(reader: Connection) -> None:
    columns = await reader.fetch(
        """
        SELECT c.relname || '.' || a.attname AS name, format_type(a.atttypid, NULL) AS type,
            col_description(c.oid, a.attnum) AS comment
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace = 'contact_history'::regnamespace
        """
    )
    assert len(columns) == 30 + 10 + 7
    for column in columns:
        named = (column["comment"] or "").split(":")[0].removesuffix(", required")
        assert named == column["type"].replace("timestamp with time zone", "timestamptz"), column["name"]


@pytest.mark.parametrize(
    "query",
    [
        'FROM contact_history.interaction WHERE tenant_id = 101 ORDER BY id COLLATE "C"',
        """FROM contact_history.interaction
            WHERE tenant_id = 101 AND id COLLATE "C" >= '0004A' AND id COLLATE "C" < '0004B'
            ORDER BY id COLLATE "C" """,
        "FROM contact_history.interaction WHERE tenant_id = 101 ORDER BY start_date",
        "FROM contact_history.interaction WHERE tenant_id = 101 ORDER BY modified_date",
        'FROM contact_history.contact WHERE tenant_id = 101 ORDER BY id COLLATE "C"',
        "FROM contact_history.contact WHERE tenant_id = 101 ORDER BY created_date",
        "FROM contact_history.contact WHERE tenant_id = 101 ORDER BY modified_date",
        'FROM contact_history.attachment WHERE tenant_id = 101 ORDER BY id COLLATE "C"',
        'FROM contact_history.attachment WHERE tenant_id = 101 ORDER BY entity_id COLLATE "C"',
        "FROM contact_history.attachment WHERE entity_id = '0004' ORDER BY entity_id",
    ],
)
async def test_E1_the_order_of_an_export_comes_from_an_index(reader: Connection, query: str) -> None:
    # A table this small is sorted faster than read by index; with that disabled, the planner must find an index.
    await reader.execute("SET enable_sort = off; SET enable_seqscan = off; SET enable_bitmapscan = off")
    plan = "\n".join(line[0] for line in await reader.fetch(f"EXPLAIN SELECT * {query}"))
    assert "Index Scan" in plan
    assert "Sort" not in plan
    assert "Filter" not in plan


async def _read_records(reader: Connection, view: str) -> list[dict[str, Any]]:
    rows = await reader.fetch(f'SELECT row_to_json(v)::text FROM contact_history.{view} v ORDER BY id COLLATE "C"')
    return [_parse(row[0]) for row in rows]


def _interaction(row: Interaction) -> dict[str, Any]:
    end = None if row.end_date is None else _format_instant(row.end_date)
    attributes = None if row.all_attributes is None else _parse(row.all_attributes)
    dates = {
        "start_date": _format_instant(row.start_date),
        "modified_date": _format_instant(row.modified_date),
        "end_date": end,
    }
    return row._asdict() | dates | {"all_attributes": attributes}


def _contact(row: Contact) -> dict[str, Any]:
    lists = {
        "email_addresses": None if row.email_addresses is None else list(row.email_addresses),
        "phone_numbers": None if row.phone_numbers is None else list(row.phone_numbers),
        "attributes": None if row.attributes is None else _parse(row.attributes),
    }
    dates = {"created_date": _format_instant(row.created_date), "modified_date": _format_instant(row.modified_date)}
    customer = None if row.customer_id is None else str(row.customer_id)
    return row._asdict() | lists | dates | {"customer_id": customer}


def _attachment(row: Attachment) -> dict[str, Any]:
    return row._asdict() | {"content": None if row.content is None else "\\x" + row.content.hex()}


def _id(record: dict[str, Any]) -> str:
    return str(record["id"])


def _parse(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def _format_instant(micros: int) -> str:
    # As in PostgreSQL's JSON: a fraction without trailing zeros.
    instant = EPOCH + timedelta(microseconds=micros)
    fraction = f".{instant:%f}".rstrip("0").rstrip(".")
    return f"{instant:%Y-%m-%dT%H:%M:%S}{fraction}+00:00"
