"""Waiting for facts: the only place in the tests that sleeps."""

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
    """Call `check` (plain or async) until it returns something true, and return that.

    An AssertionError inside `check` means "not yet". Raises AssertionError with the last answer after the timeout (s).
    """
    return _poll(check, timeout)


async def _poll(check: Callable[[], Awaitable[Found] | Found], limit: float) -> Found:
    until = time.monotonic() + limit
    while True:
        refusal: AssertionError | None = None
        answer: object = None
        try:
            asked = check()
            found = await asked if inspect.isawaitable(asked) else asked
            if found:
                return found
            answer = found
        except AssertionError as error:
            refusal = error
        if time.monotonic() > until:
            raise AssertionError(f"not so within {limit:g} s; last answer: {refusal or answer!r}") from refusal
        await asyncio.sleep(PAUSE)


def eventually_now(check: Callable[[], Found], timeout: float = 60) -> Found:
    """Do as `eventually` does in a test that has no event loop."""
    until = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() <= until, f"not so within {timeout:g} s; last answer: {found!r}"
        time.sleep(PAUSE)
