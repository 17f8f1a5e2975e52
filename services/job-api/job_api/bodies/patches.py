"""The body that changes some settings of a job: a JSON merge patch (RFC 7396)."""

from collections.abc import Mapping
from typing import Any, cast

from fastapi.exceptions import RequestValidationError
from pydantic import ConfigDict, Field, ValidationError

from job_api import domain
from job_api.bodies import fields
from job_api.bodies.drafts import ConditionBodies, JobDraft
from shared.events import values

# An omitted field stays as it is, so no default is ever read; null, where allowed, restores the setting's own default.
_UNSET: Any = None


class SchedulePatch(fields.Body):
    """Changes to a schedule; another `kind` starts without any field of the present one."""

    kind: values.ScheduleKind = _UNSET
    every: fields.Interval | None = Field(_UNSET, description=fields.INTERVAL_HELP)
    immediately: bool | None = Field(_UNSET, strict=True, description="start now")
    start: fields.BodyInstant | None = Field(_UNSET, description=fields.START_HELP)


class TimeframePatch(fields.Body):
    """Changes to a timeframe; another `kind` starts without any field of the present one."""

    kind: values.TimeframeKind | None = _UNSET
    start: fields.BodyInstant | None = Field(_UNSET, description="of `fixed`")
    end: fields.BodyInstant | None = Field(_UNSET, description="of `fixed`")
    count: fields.UnitCount | None = Field(_UNSET, description=fields.UNIT_COUNT_HELP)
    unit: values.TimeUnit | None = Field(_UNSET, description="of `last`")


class DeliveryPatch(fields.Body):
    """Changes to where a job's files are delivered, and how."""

    destinations: fields.DestinationIds = Field(_UNSET, description=fields.DESTINATIONS_HELP)
    template: fields.ObjectTemplate | None = Field(_UNSET, description=fields.TEMPLATE_HELP)
    overwrite: bool | None = Field(_UNSET, strict=True, description=fields.OVERWRITE_HELP)
    within_hours: fields.DeliveryHours | None = Field(_UNSET, description=fields.WITHIN_HOURS_HELP)
    keep_days: fields.KeepDays | None = Field(_UNSET, description=fields.KEEP_DAYS_HELP)


class JobPatch(fields.Body):
    """Changes to the settings of a job: a field that is omitted stays as it is, null restores its default."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"examples": [{"title": "The same, for the regulator", "split_size": 1073741824}]},
    )

    title: fields.JobTitle = Field(_UNSET, description=fields.TITLE_HELP)
    description: fields.JobDescription | None = Field(_UNSET, description=fields.DESCRIPTION_HELP)
    source: str = Field(_UNSET, max_length=100, description=fields.SOURCE_HELP)
    type: values.RecordType = _UNSET
    media_types: fields.MediaTypes | None = Field(_UNSET, description=fields.MEDIA_TYPES_HELP)
    schedule: SchedulePatch = _UNSET
    timeframe: TimeframePatch | None = _UNSET
    filter: ConditionBodies | None = Field(_UNSET, description=fields.FILTER_HELP)
    split_size: fields.SplitSize | None = Field(_UNSET, description=fields.SPLIT_SIZE_HELP)
    certificates: fields.CertificateIds | None = Field(_UNSET, description=fields.CERTIFICATES_HELP)
    compression: values.Compression | None = Field(_UNSET, description=fields.COMPRESSION_HELP)
    cipher: values.Cipher | None = Field(_UNSET, description=fields.CIPHER_HELP)
    catch_up: values.CatchUp | None = Field(_UNSET, description=fields.CATCH_UP_HELP)
    overlap: values.Overlap | None = Field(_UNSET, description=fields.OVERLAP_HELP)
    attempts: fields.Attempts | None = Field(_UNSET, description=fields.ATTEMPTS_HELP)
    delivery: DeliveryPatch | None = Field(_UNSET, description=fields.DELIVERY_HELP)


def patch_job(job: domain.Job, patch: JobPatch) -> domain.Draft:
    """Return the draft of a job's next version. Raises RequestValidationError."""
    return apply_patch(JobDraft.from_job(job).model_dump(mode="json"), patch)


def apply_patch(document: Mapping[str, Any], patch: JobPatch) -> domain.Draft:
    """Return the draft of a job's document after a merge patch.

    Another kind of schedule or timeframe starts without any field of the present one, and a new start replaces
    "immediately". Raises RequestValidationError.
    """
    changes, document = patch.model_dump(mode="json", exclude_unset=True), dict(document)
    for name in ("schedule", "timeframe"):
        if isinstance(part := changes.get(name), dict):
            before = document[name] = dict(document.get(name) or {})
            if part.get("kind", before.get("kind")) != before.get("kind"):
                document[name] = {}
            elif name == "schedule" and "start" in part and "immediately" not in part:
                before.pop("immediately", None)
    try:
        return JobDraft.model_validate(_merge(document, changes)).to_domain()
    except ValidationError as error:
        faults = error.errors(include_context=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in faults]) from None


def _merge(target: object, patch: object) -> object:
    """Merge a patch into a document (RFC 7396, section 2)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(cast("dict[str, Any]", target)) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged
