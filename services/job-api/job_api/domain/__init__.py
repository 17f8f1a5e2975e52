"""The rules of jobs, as pure functions: the time and all facts about the tenant are arguments."""

from job_api.domain.actions import JobAction, JobStage, apply_action, find_refusals, find_stage
from job_api.domain.drafts import Draft, DraftContext, TenantCertificate, ValidDraft, validate_draft
from job_api.domain.jobs import Job, apply_run_failure, apply_slot_fate, create_job, edit_job
from job_api.domain.schedules import ScheduleDraft

__all__ = [
    "Draft",
    "DraftContext",
    "Job",
    "JobAction",
    "JobStage",
    "ScheduleDraft",
    "TenantCertificate",
    "ValidDraft",
    "apply_action",
    "apply_run_failure",
    "apply_slot_fate",
    "create_job",
    "edit_job",
    "find_refusals",
    "find_stage",
    "validate_draft",
]
