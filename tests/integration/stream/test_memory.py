"""Memory does not grow with the size of the export, in a process of its own."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.integration.stream.history import History

EXPORT = """
import asyncio, sys
from pathlib import Path
from exporter.package.objects import open_store
from exporter.package.packer import FileNames, Packer, Packing
from exporter.worker.record_stream import export_attachments, export_records
from exporter.source.selection import RecordKind, Selection
from exporter.source.snapshot import open_snapshot
from tests.support.native import native
from tests.unit.stream.officers import NOW, officer

async def main(dsn: str, folder: str, kind: str, way: str) -> None:
    selection = Selection(RecordKind(kind), 1)
    names = FileNames(kind, "job", NOW, False)
    packer = Packer(open_store(f"file://{folder}"), "runs", names, Packing([officer().recipient]))
    async with open_snapshot(dsn) as snapshot, open_snapshot(dsn, join=await snapshot.export()) as beside, packer:
        if selection.kind is RecordKind.ATTACHMENT:
            await export_attachments(snapshot, beside, selection, packer)
        else:
            await export_records(snapshot, selection, packer, library=native() if way == "here" else None)
        await packer.finish()
    # Not getrusage: what it calls the highest resident size may be that of the process we were forked from.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(packer.bytes_raw, int(status["VmHWM"].split()[0]) // 1024)

asyncio.run(main(*sys.argv[1:]))
"""
ROWS = (
    "INSERT INTO interaction_table (id, tenant_id, text) "
    "SELECT lpad(i::text, 9, '0'), 1, repeat(md5(i::text), 30) FROM generate_series($1::int, $2::int) i"
)


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the highest resident size from /proc")


async def exported(database: str, folder: Path, kind: str, way: str = "here") -> tuple[int, int]:
    """Export in a fresh process and return the bytes of the records and the highest resident size (MiB)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", EXPORT, database, str(folder), kind, way, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    size, resident = map(int, said.split())
    return size, resident


async def test_P8_memory_is_flat_at_any_row_count(history: History, database: str, tmp_path: Path) -> None:
    ways = ("here", "server")
    await history.connection.execute(ROWS, 1, 100_000)
    small = {way: await exported(database, tmp_path, "Interaction", way) for way in ways}
    await history.connection.execute(ROWS, 100_001, 400_000)
    large = {way: await exported(database, tmp_path, "Interaction", way) for way in ways}
    for way in ways:
        assert large[way][0] == 4 * small[way][0] > 500_000_000
        assert large[way][1] - small[way][1] <= 16
        assert large[way][1] <= 96


async def test_P8_memory_is_flat_at_any_size_of_an_attachment(history: History, database: str, tmp_path: Path) -> None:
    execute = history.connection.execute
    await execute("ALTER TABLE attachment_table ALTER content SET STORAGE EXTERNAL")
    await execute("INSERT INTO interaction_table (id, tenant_id) VALUES ('i', 1)")
    content = "decode(repeat(md5('x'), 12500000), 'hex')"
    await execute(f"INSERT INTO attachment_table (id, entity_id, tenant_id, content) SELECT 'a', 'i', 1, {content}")
    size, resident = await exported(database, tmp_path, "Interaction-Attachment")
    assert size > 200_000_000 * 4 // 3
    assert resident <= 96
