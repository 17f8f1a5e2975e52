"""Memory is independent of the size of the export, measured in a separate process."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.integration.stream.history import ContactHistory

EXPORT = """
import asyncio, sys
from pathlib import Path
from exporter.package.objects import open_store
from exporter.package.packer import FileNames, Packer, PackingOptions
from exporter.worker.record_stream import export_attachments, export_records
from exporter.source.selection import Selection
from exporter.source.snapshot import open_snapshot
from tests.support.native import load_native
from tests.unit.stream.officers import NOW, officer

async def main(dsn: str, folder: str, kind: str, transcoder: str) -> None:
    selection = Selection(kind, 1)
    names = FileNames(kind=kind, job_id="job", slot=NOW, numbered=False)
    options = PackingOptions(recipients=[officer().recipient])
    packer = Packer(open_store(f"file://{folder}"), "runs", names, options=options)
    async with open_snapshot(dsn) as snapshot, open_snapshot(dsn, join=await snapshot.export()) as second, packer:
        if kind == "interaction-attachment":
            await export_attachments(snapshot, selection, packer, second=second)
        else:
            await export_records(snapshot, selection, packer, library=load_native() if transcoder == "native" else None)
        await packer.finish()
    # Not getrusage: its highest resident size may be that of the parent process before the fork.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(packer.bytes_raw, int(status["VmHWM"].split()[0]) // 1024)

asyncio.run(main(*sys.argv[1:]))
"""
ROWS = (
    "INSERT INTO interaction_table (id, tenant_id, text) "
    "SELECT lpad(i::text, 9, '0'), 1, repeat(md5(i::text), 30) FROM generate_series($1::int, $2::int) i"
)


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads the highest resident size from /proc")


async def run_export(database: str, folder: Path, kind: str, transcoder: str = "native") -> tuple[int, int]:
    """Export in a fresh process and return the bytes of the records and the highest resident size (MiB)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", EXPORT, database, str(folder), kind, transcoder, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    size, resident = map(int, output.split())
    return size, resident


async def test_P8_memory_is_flat_at_any_row_count(history: ContactHistory, database: str, tmp_path: Path) -> None:
    transcoders = ("native", "server")
    await history.connection.execute(ROWS, 1, 100_000)
    small = {each: await run_export(database, tmp_path, "interaction", each) for each in transcoders}
    await history.connection.execute(ROWS, 100_001, 400_000)
    large = {each: await run_export(database, tmp_path, "interaction", each) for each in transcoders}
    for each in transcoders:
        assert large[each][0] == 4 * small[each][0] > 500_000_000
        assert large[each][1] - small[each][1] <= 16
        assert large[each][1] <= 96


async def test_P8_memory_is_flat_at_any_size_of_an_attachment(
    history: ContactHistory, database: str, tmp_path: Path
) -> None:
    execute = history.connection.execute
    await execute("ALTER TABLE attachment_table ALTER content SET STORAGE EXTERNAL")
    await execute("INSERT INTO interaction_table (id, tenant_id) VALUES ('i', 1)")
    content = "decode(repeat(md5('x'), 12500000), 'hex')"
    await execute(f"INSERT INTO attachment_table (id, entity_id, tenant_id, content) SELECT 'a', 'i', 1, {content}")
    size, resident = await run_export(database, tmp_path, "interaction-attachment")
    assert size > 200_000_000 * 4 // 3
    assert resident <= 96
