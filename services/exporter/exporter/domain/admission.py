"""Admission: what becomes of a trigger (rules J9 and S9)."""

from dataclasses import dataclass
from typing import Literal

from shared.events import SlotTriggered

Admission = Literal["queued", "skipped", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """A job at the time of a trigger: whether it was deleted, and how many of its runs are queued and running."""

    deleted: bool
    queued: int
    running: int


def decide_admission(trigger: SlotTriggered, job: JobStatus) -> Admission:
    """Return what becomes of a trigger: a deleted job's is cancelled (J9), an overlapping one skipped or queued (S9).

    With `overlap` = `queue`, at most one run waits.
    """
    if job.deleted:
        return "cancelled"
    open_runs = job.queued + job.running
    if open_runs and (trigger.overlap == "skip" or job.queued):
        return "skipped"
    return "queued"
