"""The loop of a process that claims work: it fills its places, and at a stop finishes what it has or hands it back."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import timedelta
from typing import Generic, TypeVar

from shared.errors import TransientError
from shared.lifecycle import wait_for_first
from shared.observe import get_logger

_MAX_PAUSE_SECONDS = 2.0
_MIN_PAUSE_SECONDS = 0.05
log = get_logger(__name__)
W = TypeVar("W")


class ClaimLoop(Generic[W]):
    """Work that was claimed and is carried out, each piece in a task of its own.

    `what` names the work in logs; `show_claimed` receives how much is in progress. `stopping` is set when no more is
    claimed, `handing_back` when what is left after `drain` must be handed back.
    """

    def __init__(self, what: str, *, show_claimed: Callable[[float], None], drain: timedelta) -> None:
        self._what = what
        self._show_claimed = show_claimed
        self._drain_seconds = drain.total_seconds()
        self._busy: dict[asyncio.Task[None], W] = {}
        self._woken = asyncio.Event()
        self.stopping = asyncio.Event()
        self.handing_back = asyncio.Event()

    def __len__(self) -> int:
        return len(self._busy)

    def __iter__(self) -> Iterator[W]:
        return iter(self._busy.values())

    def wake(self) -> None:
        """Look for work at once."""
        self._woken.set()

    def begin(self, work: W, carry_out: Coroutine[None, None, None], *, name: str) -> None:
        """Carry out claimed work until the coroutine ends."""
        task = asyncio.create_task(carry_out, name=name)
        self._busy[task] = work
        task.add_done_callback(self._end)
        self._show_claimed(len(self._busy))

    async def run(self, claim_all: Callable[[], Awaitable[float | None]], stopping: asyncio.Event) -> None:
        """Claim until `stopping` is set, then finish or hand back the work in progress.

        `claim_all` fills the free places and returns the seconds until there may be more work; None where it knows no
        such time.
        """
        while not stopping.is_set():
            self._woken.clear()
            try:
                seconds = await claim_all()
            except TransientError as error:
                log.warning("cannot check for work, retrying", work=self._what, error=str(error))
                seconds = None
            pause = _MAX_PAUSE_SECONDS if seconds is None else min(seconds, _MAX_PAUSE_SECONDS)
            await wait_for_first(self._woken, stopping, seconds=max(_MIN_PAUSE_SECONDS, pause))
        await self._drain()

    async def _drain(self) -> None:
        self.stopping.set()
        if self._busy:
            await asyncio.wait(self._busy, timeout=self._drain_seconds)
        self.handing_back.set()
        if self._busy:
            await asyncio.wait(self._busy)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._busy.pop(task, None)
        self._show_claimed(len(self._busy))
        self._woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # The lease expires and another process takes over: only time is lost.
            log.error("claimed work abandoned", work=self._what, exc_info=error)
