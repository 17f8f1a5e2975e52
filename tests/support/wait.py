"""Waits until something is true: the only module of the tests that sleeps."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

Found = TypeVar("Found")

PAUSE = 0.05


@overload
def eventually(check: Callable[[], Awaitable[Found]], timeout: float = 60) -> Awaitable[Found]: ...
@overload
def eventually(check: Callable[[], Found], timeout: float = 60) -> Awaitable[Found]: ...
def eventually(check: Callable[[], Awaitable[Found] | Found], timeout: float = 60) -> Awaitable[Found]:
    """Call `check` (sync or async) until it returns something true, and return that.

    An AssertionError in `check` means "not yet". Raises AssertionError with the last result after the timeout (s).
    """
    return _poll(check, timeout)


async def _poll(check: Callable[[], Awaitable[Found] | Found], limit: float) -> Found:
    until = time.monotonic() + limit
    while True:
        failure: AssertionError | None = None
        result: object = None
        try:
            called = check()
            found = await called if inspect.isawaitable(called) else called
            if found:
                return found
            result = found
        except AssertionError as error:
            failure = error
        if time.monotonic() > until:
            raise AssertionError(f"not true within {limit:g} s; last result: {failure or result!r}") from failure
        await asyncio.sleep(PAUSE)


def eventually_now(check: Callable[[], Found], timeout: float = 60) -> Found:
    """Do what `eventually` does, in a test without an event loop."""
    until = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() <= until, f"not true within {timeout:g} s; last result: {found!r}"
        time.sleep(PAUSE)
