"""U5: an upgrade loses no entry of the audit trail that history once kept itself; job-api shows them all, each once."""

import json
import shutil
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from pogo_core.util import migrate as pogo

from job_api.service import AuditService
from shared.codec import Received, decode
from shared.events import AuditRecorded
from shared.outbox import SHARDS, unpack_headers
from shared.postgres import migrate
from tests.integration.job_api.world import NOW, World
from tests.support.servers import Databases

BEFORE = 6
"""The number of migrations before the one that moves the entries."""
INSERT = """
INSERT INTO audit (at, tenant_id, user_id, name, action, object_id, details) VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb)
"""
# As the earlier release wrote them: action, details. Then as the trail shows them: action, kind, before, after.
ENTRIES: list[tuple[str, dict[str, Any], tuple[str, str, dict[str, Any] | None, dict[str, Any] | None]]] = [
    ("download", {"first_byte": 0}, ("artifact.download", "artifact", None, {"first_byte": 0})),
    ("download-archive", {"files": 7}, ("artifact.download-archive", "artifact", None, {"files": 7})),
    ("make-link", {"expires_at": "x"}, ("artifact.link", "artifact", None, {"expires_at": "x"})),
    (
        "delete-file",
        {"before": "available", "after": "deleted"},
        ("artifact.delete", "artifact", {"state": "available"}, {"state": "deleted"}),
    ),
    ("cancel-run", {"before": "running"}, ("run.cancel", "run", {"state": "running"}, None)),
    ("remove-run", {"before": "failed"}, ("run.remove", "run", {"state": "failed"}, None)),
    ("set-retention", {"before": None, "after": 9}, ("retention.edit", "retention", {"days": None}, {"days": 9})),
    ("unknown", {"a": [1]}, ("history.unknown", "history", None, {"details": '{"a": [1]}'})),
]


@pytest.fixture
async def history_dsn(world: World, postgres: Databases) -> str:
    """Return the DSN of history's schema in the database of the job API."""
    return postgres.owner_dsn(world.dsn.rpartition("/")[2], "history")


async def write_earlier_entries(dsn: str, folder: Path, tenant_ids: list[UUID], user_id: UUID) -> dict[str, UUID]:
    """Migrate to the earlier release and write its entries; return the objects by action."""
    migrations = sorted(str(each) for each in files("history").joinpath("sql", "migrations").iterdir())
    for path in [each for each in migrations if each.endswith(".sql")][:BEFORE]:
        shutil.copy(path, folder)
    objects = {action: uuid4() for action, _, _ in ENTRIES}
    connection = await asyncpg.connect(dsn)
    try:
        await pogo.apply(connection, folder, schema_name="history")
        rows = [
            (
                NOW + timedelta(microseconds=at),
                tenant_id,
                user_id,
                'Zoë "Z"',
                action,
                objects[action],
                json.dumps(details),
            )
            for tenant_id in tenant_ids
            for at, (action, details, _) in enumerate(ENTRIES)
        ]
        await connection.executemany(INSERT, rows)
    finally:
        await connection.close()
    return objects


async def test_U5_the_earlier_entries_of_history_are_in_the_audit_trail_after_the_upgrade(
    world: World, history_dsn: str, tmp_path: Path
) -> None:
    first, second, user_id = await world.tenant(), await world.tenant(), uuid4()
    objects = await write_earlier_entries(history_dsn, tmp_path, [first.tenant_id, second.tenant_id], user_id)
    await migrate(history_dsn, "history")
    rows = await world.admin.fetch("SELECT shard, topic, key, value, headers FROM history.outbox ORDER BY id")
    assert all(0 <= row["shard"] < SHARDS for row in rows)
    received = [Received(row["topic"], 0, 0, row["key"], row["value"], unpack_headers(row["headers"])) for row in rows]
    messages = [decode(each) for each in received]
    events = [message.event for message in messages if isinstance(message.event, AuditRecorded)]
    assert len(events) == len({event.audit_id for event in events}) == 2 * len(ENTRIES)
    assert [message.id for message in messages] == [str(event.audit_id) for event in events]
    trail = AuditService(world.database)
    for _ in range(2):  # delivery is at least once
        await trail.record(events)
    for tenant in (first, second):
        response = await tenant.client.get("/api/v1/audit", params={"service": "history", "sort": "created_at"})
        assert response.status_code == 200, response.text
        items = response.json()["items"]
        assert [(each["action"], each["object_kind"], each["before"], each["after"]) for each in items] == [
            shown for _, _, shown in ENTRIES
        ]
        assert [UUID(each["object_id"]) for each in items] == [objects[action] for action, _, _ in ENTRIES]
        assert {(each["actor"], each["actor_id"]) for each in items} == {('Zoë "Z"', str(user_id))}
        assert items[3]["created_at"] == "2026-11-24T10:30:15.000003Z"
