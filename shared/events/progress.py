"""`sluice.progress`: the progress of running runs; each message supersedes the run's previous one."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from shared.events.values import Phase


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgressed:
    """The progress of a running run, at most once a second and at least every five seconds.

    Published without the outbox: a message may be lost, which does no harm because the next one supersedes it.
    """

    job_id: UUID
    """The run's job; also the message's key."""
    tenant_id: UUID
    """The tenant that the job belongs to."""
    run_id: UUID
    """The run."""
    token: int
    """The fencing token of the claim under which the run is exported; rises with each claim."""
    seq: int
    """Rises with each message of one claim. Of two messages, the one with the greater (token, seq) is newer."""
    at: datetime
    """When the progress was measured."""
    phase: Phase
    """What the run is doing."""
    units_done: int
    """Rows exported."""
    units_total: int | None
    """Rows to export; null while not even an estimate is known."""
    total_exact: bool
    """Whether `units_total` was counted; false while it is the query planner's estimate."""
    bytes_done: int
    """Uncompressed bytes exported."""
    slices: tuple[tuple[int, int], ...] | None = None
    """Rows done and rows in total of each slice, where several exporters share the run; otherwise null."""
