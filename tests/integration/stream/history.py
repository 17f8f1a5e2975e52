"""A contact history made of plain tables, and a simple reader of it that shares no code with the export."""

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg

from exporter.source.queries import ATTACHMENT_COLUMNS, CONTACT_COLUMNS, INTERACTION_COLUMNS, record_keys
from exporter.source.selection import RecordKind

Row = Mapping[str, object]
VIEWS = {
    RecordKind.INTERACTION: ("interaction", INTERACTION_COLUMNS),
    RecordKind.CONTACT: ("contact", CONTACT_COLUMNS),
    RecordKind.ATTACHMENT: ("attachment", ATTACHMENT_COLUMNS | {"tenant_id": "int", "content": "bytea"}),
}
BEFORE = datetime(2026, 1, 1, tzinfo=UTC)


class History:
    """The database behind the views, as its owner sees it."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.connection = connection

    async def create(self) -> None:
        """Make empty tables with the views over them."""
        await self.connection.execute("CREATE SCHEMA contact_history")
        for name, columns in VIEWS.values():
            fields = ", ".join(f"{column} {kind}" for column, kind in columns.items())
            await self.connection.execute(f"CREATE TABLE {name}_table ({fields})")
            await self.connection.execute(f"CREATE VIEW contact_history.{name} AS SELECT * FROM {name}_table")

    async def clear(self) -> None:
        """Remove all rows."""
        for name, _ in VIEWS.values():
            await self.connection.execute(f"TRUNCATE {name}_table")

    async def add(self, kind: RecordKind, *rows: Row) -> None:
        """Insert rows; columns that are not given are NULL, but for a tenant and dates that always match."""
        name, columns = VIEWS[kind]
        for row in rows:
            defaults: dict[str, object] = {"tenant_id": 1, "start_date": BEFORE, "modified_date": BEFORE}
            full = {column: value for column, value in (defaults | dict(row)).items() if column in columns}
            places = ", ".join(f"${number}" for number in range(1, len(full) + 1))
            insert = f"INSERT INTO {name}_table ({', '.join(full)}) VALUES ({places})"
            await self.connection.execute(insert, *full.values())

    async def records(self, kind: RecordKind, where: str = "tenant_id = 1") -> list[dict[str, object]]:
        """Read the records that an export should hold, in its order, as Python values."""
        name, columns = VIEWS[kind]
        found = await self.connection.fetch(f'SELECT * FROM {name}_table WHERE {where} ORDER BY id COLLATE "C"')
        return [{camel(column): exported(row[column], columns[column]) for column in columns_of(kind)} for row in found]


def columns_of(kind: RecordKind) -> list[str]:
    """Return the exported columns in the order of the record's keys."""
    columns = [column for column in VIEWS[kind][1] if kind is not RecordKind.ATTACHMENT or column != "tenant_id"]
    assert [camel(column) for column in columns] == record_keys(kind)
    return columns


def camel(column: str) -> str:
    first, *others = column.split("_")
    return first + "".join(map(str.capitalize, others))


def exported(value: object, kind: str) -> object:
    """Return what `parsed` should find for a column's value."""
    if kind == "jsonb" and isinstance(value, str):
        return json.loads(value, parse_float=Decimal)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return value


def parsed(line: bytes) -> dict[str, object]:
    """Parse one exported line, with instants as datetimes."""
    record: dict[str, object] = json.loads(line, parse_float=Decimal)
    dates = {key: value for key, value in record.items() if key.endswith("Date") and isinstance(value, str)}
    return record | {key: datetime.fromisoformat(value) for key, value in dates.items()}
