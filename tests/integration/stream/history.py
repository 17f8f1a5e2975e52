"""A contact history of plain tables, and a simple reader of it that shares no code with the export."""

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg

from exporter.source.columns import ATTACHMENT_COLUMNS, map_record_keys
from shared.events.values import FileKind
from shared.record_columns import CONTACT_COLUMNS, INTERACTION_COLUMNS

Row = Mapping[str, object]
VIEWS: Mapping[FileKind, tuple[str, Mapping[str, str]]] = {
    "interaction": ("interaction", INTERACTION_COLUMNS),
    "contact": ("contact", CONTACT_COLUMNS),
    "interaction-attachment": ("attachment", ATTACHMENT_COLUMNS | {"tenant_id": "int", "content": "bytea"}),
}
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


class ContactHistory:
    """The database with the views, as its owner sees it."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.connection = connection

    async def create(self) -> None:
        """Create empty tables with views over them."""
        await self.connection.execute("CREATE SCHEMA contact_history")
        for name, columns in VIEWS.values():
            fields = ", ".join(f"{column} {kind}" for column, kind in columns.items())
            await self.connection.execute(f"CREATE TABLE {name}_table ({fields})")
            await self.connection.execute(f"CREATE VIEW contact_history.{name} AS SELECT * FROM {name}_table")

    async def clear(self) -> None:
        """Delete all rows."""
        for name, _ in VIEWS.values():
            await self.connection.execute(f"TRUNCATE {name}_table")

    async def add(self, kind: FileKind, *rows: Row) -> None:
        """Insert rows; columns that are not given are NULL, except for a tenant and dates that always match."""
        name, columns = VIEWS[kind]
        for row in rows:
            defaults: dict[str, object] = {"tenant_id": 1, "start_date": BEFORE, "modified_date": BEFORE}
            full = {column: value for column, value in (defaults | dict(row)).items() if column in columns}
            places = ", ".join(f"${number}" for number in range(1, len(full) + 1))
            insert = f"INSERT INTO {name}_table ({', '.join(full)}) VALUES ({places})"
            await self.connection.execute(insert, *full.values())

    async def records(self, kind: FileKind, where: str = "tenant_id = 1") -> list[dict[str, object]]:
        """Return the records that an export should contain, in its order, as Python values."""
        name, columns = VIEWS[kind]
        found = await self.connection.fetch(f'SELECT * FROM {name}_table WHERE {where} ORDER BY id COLLATE "C"')
        return [
            {to_key(column): to_exported(row[column], columns[column]) for column in list_columns(kind)}
            for row in found
        ]


def list_columns(kind: FileKind) -> list[str]:
    """Return the exported columns in the order of the record's keys."""
    columns = [column for column in VIEWS[kind][1] if kind != "interaction-attachment" or column != "tenant_id"]
    assert [to_key(column) for column in columns] == list(map_record_keys(kind))
    return columns


def to_key(column: str) -> str:
    first, *others = column.split("_")
    return first + "".join(map(str.capitalize, others))


def to_exported(value: object, kind: str) -> object:
    """Return what `parse_line` should return for a column's value."""
    if kind == "jsonb" and isinstance(value, str):
        return json.loads(value, parse_float=Decimal)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return value


def parse_line(line: bytes) -> dict[str, object]:
    """Parse an exported line, with instants as datetimes."""
    record: dict[str, object] = json.loads(line, parse_float=Decimal)
    dates = {key: value for key, value in record.items() if key.endswith("Date") and isinstance(value, str)}
    return record | {key: datetime.fromisoformat(value) for key, value in dates.items()}
