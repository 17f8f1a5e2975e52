"""The rules of jobs: pure; time and whatever must be known of the tenant are arguments."""

from job_api.domain.drafts import Context, Draft, Recipient, settled
from job_api.domain.jobs import Job, created, edited, run_failed, slot_passed
from job_api.domain.schedules import ScheduleDraft
from job_api.domain.standing import Command, Standing, perform, refusals, standing_of

__all__ = [
    "Command",
    "Context",
    "Draft",
    "Job",
    "Recipient",
    "ScheduleDraft",
    "Standing",
    "created",
    "edited",
    "perform",
    "refusals",
    "run_failed",
    "settled",
    "slot_passed",
    "standing_of",
]
