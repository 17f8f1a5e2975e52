"""Compares decrypted records with the source, with a reader that shares no code with the exporter."""

import asyncio
import json
import re
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

import asyncpg

from deploy.local.errors import LocalError
from deploy.local.services import SOURCE_TENANT

# Attachments have no tenant column in their records, and their content is read as bytes: base64 is encoded here.
_QUERIES = {
    "Interaction": (
        "SELECT to_jsonb(v)::text, NULL::bytea FROM contact_history.interaction v "
        'WHERE tenant_id = $1 ORDER BY id COLLATE "C"'
    ),
    "Interaction-Attachment": (
        "SELECT to_jsonb(r)::text, v.content FROM contact_history.attachment v, "
        "LATERAL (SELECT v.id, v.entity_id, v.name, v.mime_type, v.size, NULL AS content) r "
        'WHERE v.tenant_id = $1 ORDER BY v.id COLLATE "C"'
    ),
}


def compare_with_source(dsn: str, records: Path, run_id: str) -> dict[str, int]:
    """Compare every record of every kind; return the number of rows by kind. Raises LocalError at a difference."""
    return asyncio.run(_compare(dsn, {kind: _file_of(kind, records) for kind in _QUERIES}, run_id))


def _file_of(kind: str, records: Path) -> Path:
    (file,) = (path for path in records.glob("*.jsonl") if re.match(rf"{kind}-[0-9a-f]{{8}}-", path.name))
    return file


async def _compare(dsn: str, files: dict[str, Path], run_id: str) -> dict[str, int]:
    # Concurrently, so that the server prepares one kind's rows while the other's are compared.
    counts = await asyncio.gather(*(_compare_kind(dsn, kind, files[kind], run_id) for kind in _QUERIES))
    return dict(zip(_QUERIES, counts, strict=True))


async def _compare_kind(dsn: str, kind: str, file: Path, run_id: str) -> int:
    connection = await asyncpg.connect(dsn, server_settings={"timezone": "UTC"})
    try:
        return await _compare_rows(connection, kind, file, run_id)
    finally:
        await connection.close()


async def _compare_rows(connection: "asyncpg.Connection[asyncpg.Record]", kind: str, file: Path, run_id: str) -> int:
    count = 0
    # Lines end at \n only: JSON may contain other characters that Python treats as line ends.
    with file.open("rb") as lines:
        async with connection.transaction():
            cursor = await connection.cursor(_QUERIES[kind], SOURCE_TENANT)
            while rows := await cursor.fetch(200):
                for row in rows:
                    count += 1
                    line = lines.readline()
                    if not line or json.loads(line) != _expected(row[0], row[1]):
                        raise LocalError(f"run {run_id}: {kind} record {count} differs from the source")
        if lines.readline():
            raise LocalError(f"run {run_id}: {file.name} has more records than the source ({count})")
    return count


def _expected(text: str, content: bytes | None) -> dict[str, Any]:
    record = {_camel_case(name): value for name, value in json.loads(text).items()}
    return record if content is None else record | {"content": b64encode(content).decode()}


@cache
def _camel_case(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)
