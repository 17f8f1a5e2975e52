"""A2: one file that the store refuses to delete stops the removal of no other, and says why it is still there."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from history.errors import FilesNotDeleted, StoreUnavailable
from history.service.retention import RetentionService
from history.store.objects import open_objects
from history.store.unit_of_work import UnitOfWorkFactory
from shared.auth import Identity
from shared.clock import SystemClock
from shared.codec import Received, decode
from shared.events import FilesExpired
from shared.observe import FILES_REFUSED
from shared.outbox import unpack_headers
from shared.postgres import Pool, migrate, open_pool
from tests.integration.job_api.world import StillClock
from tests.integration.test_schemas import provisioned
from tests.support.servers import Databases

KEYS = {"access_key_id": "a", "secret_access_key": "b", "region": "c", "allow_http": "true"}
INSERT = """
INSERT INTO artifact (artifact_id, run_id, job_id, tenant_id, title, type, name, kind, rows, bytes_raw, bytes_packed,
    sha256, object, created_at)
VALUES ($1, $1, $1, $2, '', 'contact', $3, 'contact', 0, 0, 0, '', $3, $4)
"""


@dataclass
class Files:
    """Files of several tenants that have expired, one of which the store refuses to delete."""

    pool: Pool
    store: Path
    clock: StillClock
    retention: RetentionService

    async def add(self, name: str, tenant_id: UUID) -> UUID:
        """Add an expired file; one named `held` cannot be deleted."""
        artifact_id, path = uuid4(), self.store / name
        if name.startswith("held"):
            (path / "lock").mkdir(parents=True)  # a folder that is not empty, where the object should be
        else:
            path.write_bytes(b"x")
        await self.pool.execute(INSERT, artifact_id, tenant_id, name, self.clock.now() - timedelta(days=40))
        return artifact_id

    def release(self, name: str) -> None:
        """Let the store delete a file."""
        (self.store / name / "lock").rmdir()
        (self.store / name).rmdir()
        (self.store / name).write_bytes(b"x")

    async def list_states(self) -> dict[str, tuple[str, bool]]:
        """Return each file's state, and whether it says why it could not be removed."""
        rows = await self.pool.fetch("SELECT name, state, removal_fault FROM artifact")
        return {row["name"]: (row["state"], bool(row["removal_fault"])) for row in rows}

    async def list_removed(self) -> list[str]:
        """Return the objects whose removal has been published."""
        rows = await self.pool.fetch("SELECT topic, key, value, headers FROM outbox ORDER BY id")
        received = [Received(row[0], 0, 0, row[1], row[2], unpack_headers(row[3])) for row in rows]
        found = [decode(each).event for each in received]
        return sorted(name for event in found if isinstance(event, FilesExpired) for name in event.objects)


@pytest.fixture
async def files(postgres: Databases, tmp_path: Path) -> AsyncIterator[Files]:
    dsn = await provisioned(postgres, "history")
    await migrate(dsn, "history")
    clock = StillClock(SystemClock().now())
    async with open_pool(dsn, size=3, name="test") as pool:
        objects = open_objects(tmp_path.as_uri())
        retention = RetentionService(pool, objects, kept=timedelta(days=30), interval=timedelta(seconds=1), clock=clock)
        yield Files(pool, tmp_path, clock, retention)


async def test_A2_one_refused_file_stops_no_other_of_any_tenant(files: Files) -> None:
    for name in ("a", "held", "b", "c"):
        await files.add(name, uuid4())
    assert await files.retention.remove_expired() == 3
    removed, held = ("expired", False), ("available", True)
    assert await files.list_states() == {"a": removed, "b": removed, "c": removed, "held": held}
    assert await files.list_removed() == ["a", "b", "c"], "an event for each that is gone, and for no other"
    # The next batch does not begin with it, and it does not keep the loop busy.
    await files.add("d", uuid4())
    assert await files.retention.remove_expired(limit=1) == 1
    assert await files.retention.remove_expired() == 0
    files.release("held")
    files.clock.at += timedelta(minutes=6)
    assert await files.retention.remove_expired() == 1
    assert (await files.list_states())["held"] == removed
    assert await files.list_removed() == ["a", "b", "c", "d", "held"]


async def test_A1_a_user_learns_which_files_were_not_deleted_and_the_others_are(files: Files) -> None:
    tenant_id = uuid4()
    identity = Identity(uuid4(), tenant_id, uuid4(), "ana", frozenset({"operator"}))
    ids = [await files.add(name, tenant_id) for name in ("x", "held-by-law", "y")]
    async with UnitOfWorkFactory(files.pool, files.clock).begin(identity) as work:
        removal = await files.retention.delete(work, ids)
    with pytest.raises(FilesNotDeleted, match="held-by-law"):
        removal.require_complete()
    deleted = ("deleted", False)
    assert await files.list_states() == {"x": deleted, "y": deleted, "held-by-law": ("available", True)}
    assert await files.list_removed() == ["x", "y"]


async def test_a_store_that_is_unavailable_is_no_refusal(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    await files.add("a", uuid4())
    await files.add("b", uuid4())
    monkeypatch.setattr(
        files.retention, "_objects", open_objects("s3://bucket", {"endpoint": "http://127.0.0.1:1", **KEYS})
    )
    with pytest.raises(StoreUnavailable):
        await files.retention.remove_expired()
    assert await files.list_states() == {"a": ("available", False), "b": ("available", False)}


async def test_refused_files_are_counted(files: Files) -> None:
    await files.add("held", uuid4())
    await files.retention.remove_expired()
    await files.retention.measure()
    assert FILES_REFUSED._value.get() == 1
