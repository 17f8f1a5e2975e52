"""How events become the run log: pure functions whose result does not depend on the order in which topics are read.

What each topic reports of a run is kept apart (`LoggedFate` from triggers, `RunLifecycle` from runs, `LoggedProgress`,
`LoggedEstimate`) and has its own guard against old events, so topics cannot overwrite each other: any interleaving,
duplication or replay gives the same log (H8). Within a topic, an event whose (token, seq) is not greater than the last
one is ignored. Ended runs never change (R1) and have neither progress nor estimate.

The package depends on `shared.events` alone; every package of the service may import it.
"""

from history.recording.projections.apply import LogEvent, apply
from history.recording.projections.batches import BatchChanges, apply_batch, compact_batch
from history.recording.projections.deliveries import (
    DeliveryChanges,
    DeliveryEntry,
    LoggedDelivery,
    apply_deliveries,
    apply_delivery,
)
from history.recording.projections.state import (
    TERMINAL_STATES,
    LogEntry,
    LoggedArtifact,
    LoggedEstimate,
    LoggedFate,
    LoggedPart,
    LoggedProgress,
    LoggedRun,
    RunChange,
    RunLifecycle,
)

__all__ = [
    "TERMINAL_STATES",
    "BatchChanges",
    "DeliveryChanges",
    "DeliveryEntry",
    "LogEntry",
    "LogEvent",
    "LoggedArtifact",
    "LoggedDelivery",
    "LoggedEstimate",
    "LoggedFate",
    "LoggedPart",
    "LoggedProgress",
    "LoggedRun",
    "RunChange",
    "RunLifecycle",
    "apply",
    "apply_batch",
    "apply_deliveries",
    "apply_delivery",
    "compact_batch",
]
