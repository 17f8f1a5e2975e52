"""Generates the COPY streams of a sample on all cores, in order, with only a few batches in memory."""

import asyncio
import os
import signal
import threading
from collections import deque
from collections.abc import AsyncGenerator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context, parent_process
from typing import NamedTuple

from deploy.sample.rows import Sample
from deploy.sample.tables import CONVERSATION, CUSTOMER, FILE


class Encoded(NamedTuple):
    """A batch for COPY: rows and stream of each table, in the order of `TABLES`."""

    counts: tuple[int, int, int]
    streams: tuple[bytes, bytes, bytes]


TABLES = (CONVERSATION, CUSTOMER, FILE)


async def iterate_batches(*, seed: int, interactions: int, tenants: int, workers: int) -> AsyncGenerator[Encoded, None]:
    """Yield all batches in order; the bytes do not depend on the number of worker processes."""
    loop = asyncio.get_running_loop()
    sample = {"seed": seed, "interactions": interactions, "tenants": tenants}
    batches = Sample(**sample).batches
    executor = _executor(min(workers, batches))
    # Two per worker: one being generated, one waiting to be copied. The bound limits memory when the database is slow.
    ahead = 2 * min(workers, batches)
    pending: deque[asyncio.Future[Encoded]] = deque()
    try:
        for number in range(batches):
            pending.append(loop.run_in_executor(executor, partial(encode_batch, number, **sample)))
            if len(pending) > ahead:
                yield await pending.popleft()
        while pending:
            yield await pending.popleft()
    finally:
        executor.shutdown(cancel_futures=True)


def encode_batch(number: int, *, seed: int, interactions: int, tenants: int) -> Encoded:
    """Return one batch of the sample; runs in a worker process."""
    rows = _sample(seed, interactions, tenants).batch(number)
    return Encoded(
        counts=(len(rows.interactions), len(rows.contacts), len(rows.attachments)),
        streams=(
            CONVERSATION.encode(rows.interactions),
            CUSTOMER.encode(rows.contacts),
            FILE.encode(rows.attachments),
        ),
    )


@lru_cache(maxsize=1)
def _sample(seed: int, interactions: int, tenants: int) -> Sample:
    return Sample(seed=seed, interactions=interactions, tenants=tenants)


def _executor(workers: int) -> Executor:
    # Little work does not justify processes. "spawn", since a fork would inherit the event loop and its connections.
    if workers == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_follow_parent)


def _follow_parent() -> None:
    # Ctrl-C reaches the whole process group, and the parent decides. If it is killed, its workers would wait for work
    # forever, since each has both ends of the queue open.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
