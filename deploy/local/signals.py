"""How a stack reacts to Ctrl-C and SIGTERM: in one way, and never half-way through a step.

Each context manager does nothing outside the main thread: only there can signal handlers be set.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Handler = Callable[[int, FrameType | None], Any] | signal.Handlers


@contextmanager
def raise_interrupt_on_termination() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt in the body, as Ctrl-C does."""
    with _handle_signals(_interrupt):
        yield


@contextmanager
def ignore_signals() -> Iterator[None]:
    """Ignore signals in the body, so that a second Ctrl-C does not interrupt the clean-up."""
    with _handle_signals(signal.SIG_IGN):
        yield


@contextmanager
def defer_signals() -> Iterator[None]:
    """Deliver signals after the body, so that a process started in it is also registered with the reaper."""
    pending: list[int] = []
    with _handle_signals(lambda number, _frame: pending.append(number)):
        yield
    if pending:
        signal.raise_signal(pending[0])


@contextmanager
def _handle_signals(handler: Handler) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
