"""Estimating the size of an export from the source's statistics, within a time limit and without ever failing."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from job_api.source import ExportSize, SourceStatistics
from shared.errors import TransientError
from shared.events import JobSettings
from shared.observe import get_logger

TIME_LIMIT = timedelta(seconds=2)
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SizeEstimate:
    """The approximate numbers of records and of uncompressed bytes, or the reason why they are not known.

    `rows` are interactions or contacts; `bytes` includes those of the interactions' attachments.
    """

    rows: int | None
    bytes: int | None
    reason: str | None = None
    attachments: int | None = None
    attachment_bytes: int = 0


class SizeEstimator:
    """Queries the source's statistics, within two seconds (rule J12)."""

    def __init__(self, source: SourceStatistics | None) -> None:
        self._source = source
        self._abandoned: set[asyncio.Task[ExportSize]] = set()

    async def estimate(self, settings: JobSettings) -> SizeEstimate:
        """Return the estimated size of an export with these settings; any failure is a reason, not an error."""
        if self._source is None:
            return SizeEstimate(None, None, "The source is not connected to this service.")
        query = asyncio.create_task(self._source.estimate(settings))
        try:
            await asyncio.wait({query}, timeout=TIME_LIMIT.total_seconds())
            if not query.done():
                return SizeEstimate(None, None, "The source did not answer in time.")
            found = query.result()
            return SizeEstimate(
                found.rows, found.bytes, attachments=found.attachments, attachment_bytes=found.attachment_bytes
            )
        except TransientError as error:
            log.warning("size estimate failed", error=str(error))
            return SizeEstimate(None, None, "The source is temporarily unavailable.")
        except Exception:
            # The source is the customer's: whatever it answers must not prevent a job from being saved.
            log.exception("size estimate failed")
            return SizeEstimate(None, None, "The source could not answer.")
        finally:
            self._abandon(query)

    def _abandon(self, query: "asyncio.Task[ExportSize]") -> None:
        """Cancel a query without waiting for its end, which takes long over a connection that has stalled."""
        if not query.done():
            self._abandoned.add(query)
            query.add_done_callback(self._forget)
            query.cancel()

    def _forget(self, query: "asyncio.Task[ExportSize]") -> None:
        self._abandoned.discard(query)
        if not query.cancelled():
            query.exception()
