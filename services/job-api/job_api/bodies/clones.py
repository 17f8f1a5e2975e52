"""Drafts of clones: of a job, or of the frozen settings of a run (rule J4)."""

from collections.abc import Mapping
from typing import Any

from job_api.bodies.drafts import JobDraft
from job_api.bodies.patches import JobPatch, apply_patch
from job_api.domain import Draft, Job


def clone_job(job: Job, patch: JobPatch | None = None) -> Draft:
    """Return the draft of a job's clone, with changes; a job that started immediately does so again.

    Raises RequestValidationError.
    """
    document = JobDraft.from_job(job).model_dump(mode="json")
    if job.schedule.immediately:
        document["schedule"].pop("start")
    return apply_patch(document, patch or JobPatch())


def clone_run(settings: Mapping[str, Any], patch: JobPatch | None = None) -> Draft:
    """Return the draft of a job with a run's frozen settings, with changes; it runs once, immediately.

    `settings` are those of history's run details. Raises RequestValidationError.
    """
    document = {name: value for name, value in settings.items() if name in JobDraft.model_fields}
    document["schedule"] = {"kind": "once", "immediately": True}
    return apply_patch(document, patch or JobPatch())
