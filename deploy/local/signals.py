"""What Ctrl-C and SIGTERM do to a stack: always the same, and never half-way through something."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], Any] | signal.Handlers


@contextmanager
def termination_as_interrupt() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, while the body runs."""
    with _handled_by(_interrupt):
        yield


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Pass over signals while the body runs: what is stopping is not stopped again half-way."""
    with _handled_by(signal.SIG_IGN):
        yield


@contextmanager
def held_back() -> Iterator[None]:
    """Deliver signals only at the end of the body, so that what it begins is also noted down."""
    pending: list[int] = []
    with _handled_by(lambda number, _frame: pending.append(number)):
        yield
    if pending:
        signal.raise_signal(pending[0])


@contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        # Signals reach the main thread only, and handlers can be set only there.
        yield
        return
    before = {number: signal.signal(number, handler) for number in STOPPING}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
