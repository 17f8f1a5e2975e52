"""How much an export would be, by the source's own statistics; never certain, never long, never in the way."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from job_api.source import Source
from shared.errors import TransientError
from shared.events import JobSettings
from shared.observe import get_logger

LIMIT = timedelta(seconds=2)
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Estimate:
    """About so many rows and uncompressed bytes, or the reason why nothing can be said."""

    rows: int | None
    bytes: int | None
    reason: str | None = None


class Estimates:
    """Asks the source, within a limit (J12)."""

    def __init__(self, source: Source | None) -> None:
        self._source = source
        self._given_up: set[asyncio.Task[tuple[int, int]]] = set()

    async def of(self, settings: JobSettings) -> Estimate:
        """Return an estimate for settings; whatever goes wrong is a reason, not an error."""
        if self._source is None:
            return Estimate(None, None, "The source is not connected to this service.")
        asking = asyncio.create_task(self._source.estimate(settings))
        try:
            await asyncio.wait({asking}, timeout=LIMIT.total_seconds())
            if not asking.done():
                return Estimate(None, None, "The source did not answer in time.")
            return Estimate(*asking.result())
        except TransientError as error:
            log.warning("no estimate", error=str(error))
            return Estimate(None, None, "The source is away just now.")
        except Exception:
            # The source is the customer's: whatever it answers must not keep a job from being saved.
            log.exception("no estimate")
            return Estimate(None, None, "The source could not answer.")
        finally:
            self._give_up(asking)

    def _give_up(self, asking: "asyncio.Task[tuple[int, int]]") -> None:
        """End a question without waiting for its end, which takes its time over a connection that has gone silent."""
        if not asking.done():
            self._given_up.add(asking)
            asking.add_done_callback(self._ended)
            asking.cancel()

    def _ended(self, asking: "asyncio.Task[tuple[int, int]]") -> None:
        self._given_up.discard(asking)
        if not asking.cancelled():
            asking.exception()
