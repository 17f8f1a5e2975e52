"""The worker's end of the pipes: orders from standard input, messages to standard output.

A process of its own bounds the memory, keeps the exporter's event loop free for leases, and turns a cancellation into a
kill. It ends when its exporter is gone.
"""

import asyncio
import os
import sys

from exporter.errors import ExportError
from exporter.worker.export import ExportWorker
from exporter.worker.protocol import (
    RUN_ORDER,
    SLICE_ORDER,
    WORKER_MESSAGE,
    SliceOrder,
    WorkerAlive,
    WorkerFailure,
    WorkerMessage,
)

_MAX_LINE = 16 * 1024 * 1024
_ALIVE_SECONDS = 5.0


async def run_worker() -> None:
    """Carry out the orders from standard input until killed, or until standard input ends."""
    reader = asyncio.StreamReader(limit=_MAX_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    line = await reader.readline()
    if not line:
        return
    slice_orders: asyncio.Queue[SliceOrder] = asyncio.Queue()
    receiving = asyncio.create_task(_receive_slice_orders(reader, slice_orders), name="orders")
    beating = asyncio.create_task(_report_alive(), name="alive")
    try:
        await ExportWorker(RUN_ORDER.validate_json(line), slice_orders, send_message).run()
    except ExportError as error:
        send_message(
            WorkerFailure(code=error.code, message=str(error), transient=error.transient, patient=error.patient)
        )
    finally:
        receiving.cancel()
        beating.cancel()


def send_message(message: WorkerMessage) -> None:
    """Send a message to the exporter."""
    sys.stdout.buffer.write(WORKER_MESSAGE.dump_json(message) + b"\n")
    sys.stdout.buffer.flush()


async def _report_alive() -> None:
    while True:
        send_message(WorkerAlive())
        await asyncio.sleep(_ALIVE_SECONDS)


async def _receive_slice_orders(reader: asyncio.StreamReader, slice_orders: "asyncio.Queue[SliceOrder]") -> None:
    while line := await reader.readline():
        slice_orders.put_nowait(SLICE_ORDER.validate_json(line))
    # The exporter has died or abandoned this worker: no claim covers the unfinished work.
    os._exit(1)
