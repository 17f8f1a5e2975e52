"""The exporter's own worker process, with orders through its pipe as the exporter sends them."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
from pydantic import TypeAdapter

from exporter.domain.slicing import PlannedSlice
from exporter.source.native.choice import TranscoderSetting, choose_transcoder
from exporter.worker.process import WorkerProcess
from exporter.worker.protocol import (
    PartStored,
    RunOrder,
    SliceDone,
    SliceOrder,
    SliceProgressed,
    SlicesPlanned,
    SourceOpened,
)
from shared.events import JobSettings, Window
from shared.events.values import FileKind, Timeframe
from tests.bench.export.table import TENANT
from tests.support.wait import eventually

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ExportMeasurement:
    """One export: wall and CPU seconds from the order on, the highest resident size, and the result."""

    wall: float
    cpu: float
    rss_mib: float
    rows: int
    bytes_raw: int
    files: tuple[Path, ...]
    first_message: float


def make_order(dsn: str, folder: Path, pem: str, *, split_size: int | None = None, join: str | None = None) -> RunOrder:
    """Return the order for an export of the whole tenant."""
    settings = JobSettings(
        title="bench",
        source="contact_history",
        type="interaction",
        timeframe=Timeframe(kind="all"),
        source_tenant=TENANT,
        split_size=split_size,
    )
    return RunOrder(
        run_id=uuid4(),
        job_id=UUID(int=1),
        slot=datetime(2026, 11, 24, tzinfo=UTC),
        settings=settings,
        window=Window(),
        certificates=(pem,),
        source=dsn,
        store=f"file://{folder}",
        store_options={},
        join=join,
        slice_rows=20_000 if join is None else None,
        source_stall=timedelta(minutes=1),
        is_native=_is_native(),
    )


@cache
def _is_native() -> bool:
    """Choose as an exporter does, by the same setting."""
    setting = TypeAdapter(TranscoderSetting).validate_python(os.environ.get("SLUICE_EXPORTER_TRANSCODER", "auto"))
    return choose_transcoder(setting) == "native"


def make_slice_order(kind: FileKind, piece: PlannedSlice | None = None) -> SliceOrder:
    """Return the order for a planned slice, or for all records of a kind."""
    piece = piece or PlannedSlice(kind=kind, number=1)
    return SliceOrder(
        kind=kind,
        number=piece.number,
        folder=f"runs/{piece.number}",
        first=piece.first,
        before=piece.before,
        after=None,
        finished_parts=0,
        counted=piece.rows,
    )


async def export(dsn: str, folder: Path, pem: str, kind: FileKind) -> ExportMeasurement:
    """Export one kind of file with one worker, whose start is not measured: exporters start workers in advance."""
    worker = await WorkerProcess.start()
    try:
        await wait_until_idle(worker.pid)
        began, cpu_before = time.perf_counter(), read_cpu_seconds(worker.pid)
        await worker.send(make_order(dsn, folder, pem))
        await worker.send(make_slice_order(kind))
        first_message, parts, counted = 0.0, list[PartStored](), None
        while counted is None:
            match await worker.receive():
                case SourceOpened():
                    first_message = time.perf_counter() - began
                case PartStored() as part:
                    parts.append(part)
                case SliceDone() as done:
                    counted = done.counted
        wall = time.perf_counter() - began
        rows = sum(part.rows for part in parts)
        assert counted == rows, f"{rows} rows were exported of {counted}"
        return ExportMeasurement(
            wall,
            read_cpu_seconds(worker.pid) - cpu_before,
            read_peak_mib(worker.pid),
            rows,
            sum(part.bytes_raw for part in parts),
            tuple(folder / part.object for part in parts),
            first_message,
        )
    finally:
        await worker.kill()


async def export_split(dsn: str, folder: Path, pem: str, *, workers: int) -> float:
    """Export interactions in parts of 16 MiB with one or more workers sharing the slices; return the wall seconds."""
    pool = [await WorkerProcess.start() for _ in range(workers)]
    try:
        for worker in pool:
            await wait_until_idle(worker.pid)
        began = time.perf_counter()
        await pool[0].send(make_order(dsn, folder, pem, split_size=16 * 1024 * 1024))
        snapshot, slices = await _receive_plan(pool[0])
        for worker in pool[1:]:
            await worker.send(make_order(dsn, folder, pem, split_size=16 * 1024 * 1024, join=snapshot))
        left = [piece for piece in slices if piece.kind == "interaction"]
        rows = await asyncio.gather(*(_export_slices(worker, left) for worker in pool))
        planned = [piece.rows for piece in slices if piece.kind == "interaction"]
        assert None in planned or sum(rows) == sum(each or 0 for each in planned)
        return time.perf_counter() - began
    finally:
        for worker in pool:
            await worker.kill()


async def _receive_plan(worker: WorkerProcess) -> tuple[str, Sequence[PlannedSlice]]:
    snapshot = ""
    while True:
        match await worker.receive():
            case SourceOpened() as opened:
                snapshot = opened.snapshot
            case SlicesPlanned() as planned:
                return snapshot, planned.slices


async def _export_slices(worker: WorkerProcess, left: list[PlannedSlice]) -> int:
    rows = 0
    while left:
        await worker.send(make_slice_order("interaction", left.pop(0)))
        done = False
        while not done:
            match await worker.receive():
                case PartStored() as part:
                    rows += part.rows
                case SliceDone():
                    done = True
    return rows


async def measure_cancellation(dsn: str, folder: Path, pem: str, connections: "SourceConnections") -> float:
    """Return the seconds from killing a worker during its export until its connections to the source are gone."""
    worker = await WorkerProcess.start()
    try:
        await worker.send(make_order(dsn, folder, pem))
        await worker.send(make_slice_order("interaction"))
        while not isinstance(await worker.receive(), SliceProgressed):
            pass
        began = time.perf_counter()
        await worker.kill()
        await connections.wait_until_none()
        return time.perf_counter() - began
    finally:
        await worker.kill()


class SourceConnections:
    """The exports' connections to the source."""

    def __init__(self, admin_dsn: str) -> None:
        self._admin_dsn = admin_dsn

    async def wait_until_none(self) -> None:
        """Wait until no export is connected."""
        connection = await asyncpg.connect(self._admin_dsn)
        statement = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sluice-exporter'"
        while await connection.fetchval(statement):
            pass
        await connection.close()


async def wait_until_idle(pid: int) -> None:
    """Wait until a process that was just started has finished its imports and waits for its order."""
    before = -1.0

    def is_idle() -> bool:
        nonlocal before
        last, before = before, read_cpu_seconds(pid)
        # A process that waits for a core uses no time either.
        return last == before > 0 and _read_fields(pid)[0] == "S"

    await eventually(is_idle)


def read_cpu_seconds(pid: int) -> float:
    """Return the user and system CPU seconds of a running process so far."""
    fields = _read_fields(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS


def read_peak_mib(pid: int) -> float:
    """Return the highest resident size of a running process so far, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1024


def _read_fields(pid: int) -> list[str]:
    """Return the fields of `man proc_pid_stat` from the state on."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
