"""A contact history in a real PostgreSQL, and exports from it whose files are opened again."""

import ctypes
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import pytest

from exporter.package.objects import open_store
from exporter.package.packer import FileNames, PackedPart, Packer, PackingOptions
from exporter.source.selection import Selection
from exporter.source.snapshot import open_snapshot
from exporter.worker.record_stream import export_attachments, export_records
from tests.integration.stream.history import ContactHistory
from tests.support.native import load_native
from tests.support.servers import Databases
from tests.unit.stream.officers import NOW, officer, openssl_decrypt


@dataclass
class Export:
    """Runs exports of a source into a folder, and opens the files with the openssl command."""

    dsn: str
    folder: Path
    library: ctypes.CDLL | None = field(default_factory=load_native)
    command: str = "cms"

    async def export_parts(self, selection: Selection, options: PackingOptions | None = None) -> list[PackedPart]:
        """Export and return the parts."""
        options = options or PackingOptions(recipients=[officer().recipient])
        names = FileNames(kind=selection.kind, job_id="job", slot=NOW, numbered=options.split_size is not None)
        store = open_store(f"file://{self.folder}")
        async with (
            open_snapshot(self.dsn) as snapshot,
            open_snapshot(self.dsn, join=await snapshot.export()) as second,
            Packer(store, "runs/r/1", names, options=options) as packer,
        ):
            if selection.kind == "interaction-attachment":
                await export_attachments(snapshot, selection, packer, second=second)
            else:
                await export_records(snapshot, selection, packer, library=self.library)
            parts = await packer.finish()
            assert sum(part.rows for part in parts) == await second.count(selection)
        return parts

    async def read_lines(self, selection: Selection, options: PackingOptions | None = None) -> list[bytes]:
        """Export and return the lines of all parts, without their newlines."""
        parts = await self.export_parts(selection, options)
        content = b"".join(map(self.open_part, parts))
        assert content == b"" or content.endswith(b"\n")
        return content.split(b"\n")[:-1]

    def open_part(self, part: PackedPart) -> bytes:
        """Test a part's archive with the unzip command, and return its content."""
        archive = self.folder / f"{part.name}.zip"
        archive.write_bytes(openssl_decrypt(self.folder / part.key, officer(), command=self.command))
        subprocess.run(["unzip", "-tqq", archive], check=True, capture_output=True)
        return subprocess.run(["unzip", "-p", archive], check=True, capture_output=True).stdout


@pytest.fixture
async def history(database: str) -> AsyncIterator[ContactHistory]:
    connection = await asyncpg.connect(database)
    history = ContactHistory(connection)
    await history.create()
    yield history
    await connection.close()


@pytest.fixture
def export(database: str, tmp_path: Path, history: ContactHistory) -> Export:
    return Export(database, tmp_path)


@pytest.fixture
async def reader_dsn(database: str, postgres: Databases, history: ContactHistory) -> AsyncIterator[str]:
    """Return the DSN of a role that can only log in."""
    name = f"reader_{database.rpartition('_')[2]}"
    await history.connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    yield postgres.dsn(database.rpartition("/")[2].partition("?")[0], role=name, password="secret")
    await history.connection.execute(f"DROP OWNED BY {name}")
    await history.connection.execute(f"DROP ROLE {name}")
