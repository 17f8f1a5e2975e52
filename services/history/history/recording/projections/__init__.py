"""How events become the run log: pure, and the same in whatever order the topics are read.

What each topic says of a run is kept apart (`Fate` from triggers, `Life` from runs, `Progress`, `Estimate`), each with
its own guard against what is old, so that topics cannot overwrite each other: any interleaving, duplication or replay
ends in the same log (H8). Within a topic, an event whose (token, seq) is not greater than the last one is passed over.
Ended runs never change (R1), and lose what only a running one has (progress and estimate).
"""

from history.recording.projections.apply import LogEvent, apply
from history.recording.projections.folding import folded
from history.recording.projections.state import (
    TERMINAL,
    Applied,
    Artifact,
    Entry,
    Estimate,
    Fate,
    Life,
    Part,
    Progress,
    Run,
)

__all__ = [
    "TERMINAL",
    "Applied",
    "Artifact",
    "Entry",
    "Estimate",
    "Fate",
    "Life",
    "LogEvent",
    "Part",
    "Progress",
    "Run",
    "apply",
    "folded",
]
